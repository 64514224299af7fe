"""A data folder that another user prepared."""

import os

import pytest

from facetag.errors import LocalServerFailed
from facetag.standalone.announcements import (
    announce_servers,
    announce_service,
    find_announced,
    find_servers,
)
from facetag.standalone.servers.local_server import Folders
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


def test_a_folder_of_everybody_is_not_closed_to_the_others(tmp_path):
    tmp_path.chmod(0o1777)
    with pytest.raises(LocalServerFailed, match="or to all of them"):
        Folders(tmp_path).make()
    assert tmp_path.stat().st_mode & 0o1777 == 0o1777
