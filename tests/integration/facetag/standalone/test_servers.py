"""Servers for a command that needs a database and object storage."""

import pytest

from facetag.bundles.registry import list_models
from facetag.db.engine import make_engine, make_sessions, transaction
from facetag.errors import DataFolderBusy
from facetag.settings import Settings
from facetag.standalone.folder_lock import lock_folder
from facetag.standalone.servers import use_servers
from facetag.storage.client import make_storage

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(tmp_path, monkeypatch):
    for name in ("FACETAG_DATABASE_URL", "FACETAG_REDIS_URL", "FACETAG_S3_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    return Settings(data_dir=tmp_path / "data")


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


def test_a_folder_that_is_busy_with_something_else_is_a_fault(settings):
    settings.data_dir.mkdir()
    with (
        lock_folder(settings.data_dir),
        pytest.raises(DataFolderBusy),
        use_servers(settings, on_event=print),
    ):
        pass
