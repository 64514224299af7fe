"""The data folder's PostgreSQL for a command that needs nothing else."""

import psycopg
import pytest
from sqlalchemy import make_url

from facetag.errors import DataFolderBusy
from facetag.settings import Settings
from facetag.standalone.database import use_database
from facetag.standalone.folder_lock import lock_folder

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
