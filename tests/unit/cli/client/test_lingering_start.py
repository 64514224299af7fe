"""Starting a service that lingers; a program of ours stands in for `facetag up`."""

import http.server
import json
import sys
import threading

import psutil
import pytest

from facetag.errors import LocalServerFailed
from facetag.settings import Settings
from facetag_cli.client import lingering_service
from facetag_cli.client.lingering_service import settings_digest, start_service

UP = """
import json, pathlib, sys, time
from facetag.standalone.announcements import announce_service
plan = json.loads(pathlib.Path(sys.argv[1]).read_text())
starts = pathlib.Path(sys.argv[1]).with_name("starts")
with starts.open("a") as file:
    file.write("start\\n")
if len(starts.read_text().splitlines()) == 1:
    sys.exit(plan["says"])
announce_service(pathlib.Path(plan["data_dir"]), plan["url"], lingers_for=plan["digest"])
time.sleep(60)
"""


class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Keep quiet."""


@pytest.fixture
def fail_first(tmp_path, monkeypatch):
    """Return a function that prepares settings whose first `facetag up` ends with an error."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Healthy)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def prepare(says):
        settings = Settings(data_dir=tmp_path / "data")
        plan = {
            "says": says,
            "data_dir": str(settings.data_dir),
            "url": f"http://127.0.0.1:{server.server_port}",
            "digest": settings_digest(settings),
        }
        (tmp_path / "plan").write_text(json.dumps(plan))
        command = [sys.executable, "-c", UP, str(tmp_path / "plan")]
        monkeypatch.setattr(lingering_service, "python_command", lambda: command)
        return settings

    yield prepare
    server.shutdown()
    server.server_close()


def test_it_is_started_again_where_whoever_held_the_folder_has_just_left(fail_first):
    settings = fail_first("Error: Another facetag (process 1) runs its servers in /data.")
    found = start_service(settings)
    assert found.lingers_for == settings_digest(settings)
    psutil.Process(found.pid).kill()


def test_a_service_that_fails_by_itself_is_not_started_again(fail_first, tmp_path):
    settings = fail_first("Error: The bundle is damaged.")
    with pytest.raises(LocalServerFailed, match=r"(?s)did not start.*The bundle is damaged"):
        start_service(settings)
    assert (tmp_path / "starts").read_text().splitlines() == ["start"]
