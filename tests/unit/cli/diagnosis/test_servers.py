import json

from facetag.settings import Settings
from facetag_cli.diagnosis.servers import look_at_servers, look_at_service

NOWHERE = Settings(
    database_url="postgresql://me:pa55word@127.0.0.1:9/db",
    redis_url="redis://:pa55word@127.0.0.1:9/0",
    s3_endpoint_url="http://127.0.0.1:9",
    s3_access_key="access",
    s3_secret_key="secret",
    api_url="http://127.0.0.1:9",
)


def test_servers_that_do_not_answer_are_said_with_the_setting_to_check():
    faults = [one.fault for one in look_at_servers(NOWHERE)]
    for fault, name in zip(faults, ("DATABASE_URL", "REDIS_URL", "S3_ENDPOINT_URL"), strict=True):
        assert f"FACETAG_{name}" in fault
    (service,) = look_at_service(NOWHERE)
    assert "FACETAG_API_URL" in service.fault


def test_programs_of_local_servers_are_found():
    assert [one.fault for one in look_at_servers(Settings())] == [None] * 3


def test_ports_of_running_servers_are_shown_without_passwords(tmp_path):
    (tmp_path / "run").mkdir()
    urls = {
        "FACETAG_DATABASE_URL": "postgresql://facetag:pa55word@127.0.0.1:4711/facetag",
        "FACETAG_S3_ENDPOINT_URL": "http://127.0.0.1:4712",
    }
    (tmp_path / "run" / "servers").write_text(json.dumps(urls))
    texts = " ".join(one.text for one in look_at_service(Settings(data_dir=tmp_path)))
    assert "4711" in texts
    assert "4712" in texts
    assert "pa55word" not in texts


def test_nobody_knows_what_runs_on_a_data_folder_that_cannot_be_looked_into(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file" / "data", tmp_path / ("x" * 300)):
        service, _port = look_at_service(Settings(data_dir=folder))
        assert service.text.startswith("unknown on ")
        assert "Give another with --data-dir" in service.fault
