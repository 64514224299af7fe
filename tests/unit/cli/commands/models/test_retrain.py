"""What `facetag retrain --queue` refuses before anything is asked of a server."""

import pytest
from click.testing import CliRunner

from facetag_cli.main import main

SERVERS = ("FACETAG_DATABASE_URL", "FACETAG_REDIS_URL", "FACETAG_S3_ENDPOINT_URL")


@pytest.fixture
def run(tmp_path, monkeypatch):
    for name in SERVERS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FACETAG_DATA_DIR", str(tmp_path / "data"))
    return lambda *arguments: CliRunner().invoke(main, arguments)


@pytest.mark.parametrize("name", ["--run", "--cache"])
def test_a_folder_of_this_machine_is_no_option_of_the_queue(run, name):
    result = run("retrain", "new.tar", "--queue", name, "here")
    assert result.exit_code == 2
    assert f"{name} is a folder of this machine" in result.output


def test_without_a_service_nothing_is_queued_and_nothing_started(run, tmp_path):
    result = run("retrain", "new.tar", "--queue")
    assert result.exit_code == 1
    assert "start one with `facetag up --trainer`" in " ".join(result.output.split())
    assert not (tmp_path / "data").exists()


def test_a_queue_without_redis_says_which_setting_is_missing(run, monkeypatch):
    monkeypatch.setenv("FACETAG_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    result = run("retrain", "new.tar", "--queue")
    assert result.exit_code == 1
    assert "FACETAG_REDIS_URL" in result.output


def test_a_plan_that_states_a_network_is_refused_since_the_candidate_keeps_the_champions(
    run, tmp_path
):
    plan = tmp_path / "plan.toml"
    plan.write_text('[network]\nbackbone = "cnn"\n')
    result = run("retrain", "new.tar", "--plan", str(plan))
    assert result.exit_code == 2
    assert "keeps the champion's network" in " ".join(result.output.split())
