import shutil

import psutil
import pytest

from facetag.standalone.credentials import load_credentials
from facetag.standalone.processes.process import Command
from facetag.standalone.servers.local_server import Folders, LocalServer


class Sleeper(LocalServer):
    """A server that answers nothing; like others, it writes its configuration before it starts."""

    title = "The sleeper"
    port_count = 1

    def prepare(self):
        (self.folders.run / "sleeper.conf").write_text("")
        return Command("sleeper", ["/bin/sleep", "60"], self.folders.data_dir, {})

    def is_ready(self):
        return True

    def environment(self):
        return {}

    def clear_leftovers(self):
        pass


@pytest.fixture
def server(tmp_path):
    folders = Folders(tmp_path / "data")
    folders.make()
    server = Sleeper(folders, load_credentials(tmp_path / "credentials.json"))
    server.start()
    yield server
    folders.make()
    server.ask_to_stop()
    server.wait_stopped()


def end(server):
    process = psutil.Process(server.child.pid)
    process.kill()
    while server.exit_status is None:
        pass


def children():
    return [child for child in psutil.Process().children() if "60" in child.cmdline()]


@pytest.mark.parametrize("folder", ["run", "logs"])
def test_a_restart_that_fails_does_not_read_as_a_server_that_runs(server, folder):
    end(server)
    shutil.rmtree(getattr(server.folders, folder))
    with pytest.raises(FileNotFoundError):
        server.restart()
    assert not server.has_started()
    assert server.exit_status == -9
    server.folders.make()
    server.restart()
    assert server.has_started()


def test_a_server_whose_record_cannot_be_written_is_not_left_running(server):
    end(server)
    record = server.folders.run / "sleeper.json"
    record.unlink()
    record.mkdir()
    with pytest.raises(OSError, match="directory"):
        server.restart()
    record.rmdir()
    assert children() == []
