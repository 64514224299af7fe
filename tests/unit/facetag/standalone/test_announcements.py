import http.server
import json
import os
import shutil
import threading

import psutil
import pytest

from facetag.standalone.announcements import (
    announce_servers,
    announce_service,
    answers,
    find_announced,
    find_running,
    find_servers,
    withdraw_servers,
    withdraw_service,
)

NOBODY = 2**22 + 1
"""Above the largest process id."""
SERVERS = {
    "FACETAG_DATABASE_URL": "postgresql://here",
    "FACETAG_S3_ENDPOINT_URL": "http://here",
}


class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_):
        """Keep quiet."""


@pytest.fixture
def url():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Healthy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_service_is_found_from_its_announcement_to_its_withdrawal(tmp_path, url):
    assert find_running(tmp_path) is None
    announce_service(tmp_path, url)
    assert find_running(tmp_path) == url
    withdraw_service(tmp_path)
    assert find_running(tmp_path) is None
    withdraw_service(tmp_path)


def test_a_service_that_does_not_answer_is_not_found(tmp_path):
    announce_service(tmp_path, "http://127.0.0.1:9")
    assert find_running(tmp_path) is None


def test_a_service_whose_process_is_gone_is_not_found_though_its_port_answers(tmp_path, url):
    announce_service(tmp_path, url)
    notice = json.loads((tmp_path / "service.json").read_text())
    # The id of a process that ended, and one that another process has by now.
    for gone in ({"pid": NOBODY}, {"started": f"1{notice['started']}"}):
        (tmp_path / "service.json").write_text(json.dumps(notice | gone))
        assert find_running(tmp_path) is None


def test_an_announcement_says_whose_service_it_is(tmp_path, url):
    announce_service(tmp_path, url)
    person = find_announced(tmp_path)
    assert (person.api_url, person.pid, person.lingers_for) == (url, os.getpid(), None)
    announce_service(tmp_path, url, lingers_for="a digest")
    assert find_announced(tmp_path).lingers_for == "a digest"


def test_a_copy_of_a_folder_leads_to_nothing_of_the_other_one(tmp_path, url):
    folder, copy, moved = (tmp_path / name for name in ("data", "copy", "moved"))
    (folder / "run").mkdir(parents=True)
    announce_service(folder, url)
    announce_servers(folder / "run", SERVERS)
    shutil.copytree(folder, copy)
    assert find_announced(copy) is None
    assert find_servers(copy / "run") is None
    folder.rename(moved)
    assert find_running(moved) == url
    assert find_servers(moved / "run") is not None


def test_records_of_an_earlier_release_are_read(tmp_path, url):
    seconds = psutil.Process().create_time()
    notice = {"api_url": url, "pid": os.getpid(), "started": seconds, "lingers_for": None}
    (tmp_path / "service.json").write_text(json.dumps(notice))
    assert find_running(tmp_path) == url
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "servers").write_text(json.dumps(SERVERS))
    assert find_servers(tmp_path / "run") is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '{"api_url": "http://127.0.0.1:1", "pid": 1, "started": [], "lingers_for": null}',
        '{"api_url": "http://127.0.0.1:1"}',
        "{",
    ],
)
def test_a_damaged_announcement_is_none(tmp_path, text):
    (tmp_path / "service.json").write_text(text)
    assert find_running(tmp_path) is None


def test_a_proxy_is_never_asked(url, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert answers(url)
    assert not answers(url, "/elsewhere")


def test_servers_are_found_from_their_announcement_to_their_withdrawal(tmp_path):
    assert find_servers(tmp_path) is None
    announce_servers(tmp_path, SERVERS)
    assert find_servers(tmp_path) == {
        "database_url": "postgresql://here",
        "s3_endpoint_url": "http://here",
    }
    assert (tmp_path / "servers").stat().st_mode & 0o077 == 0
    withdraw_servers(tmp_path)
    assert find_servers(tmp_path) is None


@pytest.mark.parametrize(
    "environment",
    [
        {"FACETAG_DATABASE_URL": "postgresql://here"},
        {"FACETAG_S3_ENDPOINT_URL": "http://here"},
    ],
)
def test_a_database_without_storage_or_the_reverse_is_not_enough(tmp_path, environment):
    announce_servers(tmp_path, environment)
    assert find_servers(tmp_path) is None
