"""A data folder that another user prepared."""

import os
import tempfile
from pathlib import Path

import pytest

from facetag.client.service_lookup import find_service
from facetag.errors import LocalServerFailed
from facetag.settings import Settings
from facetag.standalone.announcements import (
    announce_servers,
    announce_service,
    find_announced,
    find_servers,
)
from facetag.standalone.folder_owner import require_own
from facetag.standalone.servers.local_server import Folders
from facetag.standalone.service_users import mark_use
from facetag.standalone.stack import LocalStack
from tests.ordinary_user import NOBODY

SERVERS = {"FACETAG_DATABASE_URL": "postgresql://evil", "FACETAG_S3_ENDPOINT_URL": "http://evil"}


def prepare(folder):
    """Announce a service and servers in a folder."""
    folder.mkdir()
    (folder / "run").mkdir()
    announce_service(folder, "http://127.0.0.1:1")
    announce_servers(folder / "run", SERVERS)
    return folder


def test_a_folder_of_ones_own_is_believed(tmp_path):
    folder = prepare(tmp_path / "data")
    assert find_announced(folder) is not None
    assert find_servers(folder / "run") is not None
    Folders(folder).make()


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a folder away takes root")
def test_a_folder_of_another_user_is_not(tmp_path):
    folder = prepare(tmp_path / "data")
    os.chown(folder, NOBODY, NOBODY)
    assert find_announced(folder) is None
    assert find_servers(folder / "run") is None
    with pytest.raises(LocalServerFailed, match="belongs to another user"):
        Folders(folder).make()
    assert folder.stat().st_uid == NOBODY
    with (
        pytest.raises(LocalServerFailed, match="belongs to another user"),
        mark_use(folder / "run"),
    ):
        pass


@pytest.fixture
def closed():
    """A data folder that this process may not look into."""
    if os.geteuid() != 0:
        pytest.skip("being another user takes root")
    # Nobody may enter the folders of pytest, which would be what is closed.
    with tempfile.TemporaryDirectory() as base:
        Path(base).chmod(0o755)
        folder = prepare(Path(base) / "data")
        folder.chmod(0o700)
        os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            os.seteuid(0)


@pytest.mark.parametrize("use", ["find_service", "require_own", "make", "mark_use", "start"])
def test_a_closed_folder_is_refused_in_the_same_words_whoever_asks(closed, use):
    settings = Settings(data_dir=closed)
    uses = {
        "find_service": lambda: find_service(settings),
        "require_own": lambda: require_own(closed),
        "make": Folders(closed).make,
        "mark_use": lambda: mark_use(closed / "run").__enter__(),
        "start": LocalStack(settings).start,
    }
    with pytest.raises(LocalServerFailed) as refusal:
        uses[use]()
    assert str(refusal.value) == (
        f"The data folder {closed} cannot be used: Permission denied. Give another with --data-dir "
        "or FACETAG_DATA_DIR."
    )


def test_a_folder_that_is_not_there_is_fine(tmp_path):
    require_own(tmp_path / "new" / "data")


def test_a_folder_of_everybody_is_not_closed_to_the_others(tmp_path):
    tmp_path.chmod(0o1777)
    with pytest.raises(LocalServerFailed, match="or to all of them"):
        Folders(tmp_path).make()
    assert tmp_path.stat().st_mode & 0o1777 == 0o1777
