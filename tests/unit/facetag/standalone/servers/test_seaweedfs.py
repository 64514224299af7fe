import shutil
from pathlib import Path

import pytest

from facetag.standalone.credentials import load_credentials
from facetag.standalone.servers.local_server import Folders
from facetag.standalone.servers.seaweedfs import SeaweedFS

PORTS = list(range(70_001, 70_009))
"""Above the largest port, so that they are nobody's."""


def make_server(data_dir):
    credentials = load_credentials(data_dir / "credentials.json")
    server = SeaweedFS(Folders(data_dir), credentials, bucket="facetag")
    server.ports = PORTS
    return server


@pytest.fixture
def socket():
    path = Path(f"/tmp/seaweedfs-filer-grpc-{PORTS[-1]}.sock")
    path.touch()
    yield path
    path.unlink(missing_ok=True)


def test_its_sockets_are_removed_by_its_own_folder_and_not_by_a_copy(tmp_path, socket):
    folder, copy = tmp_path / "data", tmp_path / "copy"
    Folders(folder).make()
    server = make_server(folder)
    server.prepare()
    shutil.copytree(folder, copy)
    make_server(copy).clear_leftovers()
    assert socket.exists()
    server.clear_leftovers()
    assert not socket.exists()


@pytest.mark.parametrize("text", ["", "70001 70002"])
def test_a_record_of_its_ports_that_names_no_folder_is_forgotten(tmp_path, socket, text):
    Folders(tmp_path).make()
    (tmp_path / "run" / "seaweedfs-ports").write_text(text)
    make_server(tmp_path).clear_leftovers()
    assert not list((tmp_path / "run").iterdir())
    assert socket.exists()
