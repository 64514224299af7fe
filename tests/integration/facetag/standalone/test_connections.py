import psycopg
import pytest
from sqlalchemy import make_url

from facetag.bundles.registry import list_models
from facetag.db.engine import make_engine, make_sessions, transaction
from facetag.errors import DataFolderBusy
from facetag.settings import Settings
from facetag.standalone.connections import use_database, use_servers
from facetag.standalone.folder_lock import lock_folder
from facetag.storage.client import make_storage

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(tmp_path, monkeypatch):
    for name in ("FACETAG_DATABASE_URL", "FACETAG_REDIS_URL", "FACETAG_S3_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    return Settings(data_dir=tmp_path / "data")


def ask(url):
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, connect_timeout=3) as link:
        return link.execute("SELECT 1").fetchone()


def test_postgresql_alone_is_started_and_stopped(settings):
    told = []
    with use_database(settings, on_event=told.append) as url:
        assert ask(url) == (1,)
    assert told == ["Starting PostgreSQL"]
    with pytest.raises(psycopg.OperationalError):
        ask(url)


def test_a_second_command_uses_the_server_of_the_first(settings):
    told = []
    with (
        use_database(settings) as first,
        use_database(settings, on_event=told.append) as second,
    ):
        assert second == first
        assert ask(second) == (1,)
    assert "another facetag" in told[0]


def test_a_folder_that_is_busy_with_something_else_is_a_fault(settings):
    settings.data_dir.mkdir()
    with (
        lock_folder(settings.data_dir),
        pytest.raises(DataFolderBusy),
        use_database(settings),
    ):
        pass


def test_servers_are_started_ready_for_use_and_shared_with_a_second_command(settings):
    told = []
    with use_servers(settings, on_event=told.append) as first:
        make_storage(first).ping()
        engine = make_engine(first)
        with transaction(make_sessions(engine)) as session:
            assert list_models(session, tenant_id="local") == []
        engine.dispose()
        with use_servers(settings, on_event=told.append) as second:
            assert second.database_url == first.database_url
            assert second.s3_endpoint_url == first.s3_endpoint_url
            make_storage(second).ping()
    assert told == ["Starting PostgreSQL, SeaweedFS"]


def test_servers_that_are_set_are_taken_as_they_are(servers):
    with use_servers(servers, on_event=print) as found:
        assert found is servers


def test_a_busy_folder_without_announced_servers_is_a_fault(settings):
    settings.data_dir.mkdir()
    with (
        lock_folder(settings.data_dir),
        pytest.raises(DataFolderBusy),
        use_servers(settings, on_event=print),
    ):
        pass
