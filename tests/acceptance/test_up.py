"""`facetag up`, as a user runs it: from the command line, with a tiny network."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

import psutil
import pytest

from facetag.standalone.announcements import find_running
from facetag.standalone.key_file import read_local_key

# The whole service, TensorFlow included, on a machine that may be busy with other things.
pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

DEADLINE_S = 240


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    from facetag.vision.bundle_writer import write_bundle
    from facetag.vision.crop import UprightCrop
    from facetag.vision.network.attributes import build_network
    from facetag.vision.network.spec import NetworkSpec

    folder = tmp_path_factory.mktemp("bundle")
    spec = NetworkSpec(backbone="tiny", input_size=32, hidden_units=8)
    age_range = {"coverage": 0.8, "knots": [20, 60], "below": [3, 8], "above": [4, 9]}
    facts = {"created": "2025-01-31", "age_range": age_range}
    return write_bundle(folder, build_network(spec), spec, UprightCrop(), facts).folder


class Up:
    """A running `facetag up`, what it said, and all the processes below it."""

    def __init__(self, data_dir, bundle, *options):
        kept = {name: value for name, value in os.environ.items() if "FACETAG_" not in name}
        self.data_dir = data_dir
        self.process = subprocess.Popen(
            [sys.executable, "-m", "facetag_cli.main", "up", "--data-dir", str(data_dir), *options],
            env=kept | {"FACETAG_BUNDLE": str(bundle)},
            stderr=subprocess.PIPE,
            text=True,
            # A shell that runs the tests in the background has Ctrl-C ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.lines = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip())

    @property
    def said(self):
        return "\n".join(self.lines)

    @property
    def url(self):
        wait_for(lambda: "The service is up" in self.said or self.process.poll() is not None)
        return next(line.split()[-1] for line in self.lines if "The service is up" in line)

    def processes(self):
        return psutil.Process(self.process.pid).children(recursive=True)

    def find(self, *words):
        """The child itself, not what it forked."""
        for process in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):
                names = [process.name(), *process.cmdline()]
                if set(words) <= set(names):
                    return process
        return None

    def end(self, number):
        below = self.processes()
        self.process.send_signal(number)
        status = self.process.wait(DEADLINE_S)
        self._reader.join()
        return status, below


@pytest.fixture
def start_up(tmp_path, bundle):
    started = []

    def start(*options, bundle=bundle, data_dir=tmp_path / "data"):
        started.append(Up(data_dir, bundle, *options))
        return started[-1]

    yield start
    for up in started:
        if up.process.poll() is None:
            up.end(signal.SIGTERM)
        up.process.stderr.close()


def wait_for(condition):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.1)


def get(up, path):
    """Status and body, asked with the folder's key; None where nobody listens."""
    url, key = up.url, read_local_key(up.data_dir)
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        response = connection.getresponse()
        return response.status, response.read()
    except OSError:
        return None
    finally:
        connection.close()


def ready(up):
    answer = get(up, "/readyz")
    return answer is not None and answer[0] == 200


def test_it_serves_until_it_is_stopped_and_leaves_nothing_behind(start_up):
    up = start_up()
    url = up.url
    assert ready(up)
    assert find_running(up.data_dir) == url
    wait_for(lambda: json.loads(get(up, "/readyz")[1])["parts"]["worker"] == "ok")

    second = start_up()
    assert second.process.wait(DEADLINE_S) == 1
    wait_for(lambda: f"(process {up.process.pid})" in second.said)
    assert ready(up)

    status, below = up.end(signal.SIGINT)
    assert status == 0
    assert not [process for process in below if process.is_running()]
    assert find_running(up.data_dir) is None
    assert "Traceback" not in up.said


def test_what_ends_by_itself_is_started_again_as_it_was_told_to_be(start_up):
    up = start_up("--min-face", "0.02")
    assert ready(up)
    assert up.find("worker", "--min-face=0.02")
    for words in (["api"], ["valkey-server"], ["postgres"]):
        killed = up.find(*words)
        killed.kill()
        wait_for(lambda words=words, killed=killed: up.find(*words) not in (None, killed))
        wait_for(lambda: ready(up))
    for title in ("The api process", "Valkey", "PostgreSQL"):
        assert f"{title} was ended by SIGKILL; starting it again in 1 s" in up.said
    status, below = up.end(signal.SIGTERM)
    assert status == 0
    assert not [process for process in below if process.is_running()]


def test_a_killed_service_leaves_nothing_in_the_way_of_the_next(start_up):
    up = start_up()
    assert ready(up)
    status, below = up.end(signal.SIGKILL)
    assert status == -signal.SIGKILL
    assert find_running(up.data_dir) is None
    again = start_up()
    assert ready(again)
    assert not [process for process in below if process.is_running()]


def test_a_port_that_is_asked_for_and_taken_is_an_error(start_up):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        up = start_up("--port", str(taken.getsockname()[1]))
        assert up.process.wait(DEADLINE_S) == 1
    wait_for(lambda: "Give another --port" in up.said)


def test_a_bundle_that_no_worker_could_load_is_told_before_anything_starts(start_up, tmp_path):
    up = start_up(bundle=tmp_path / "nowhere")
    assert up.process.wait(DEADLINE_S) == 1
    wait_for(lambda: f"There is no bundle at {tmp_path / 'nowhere'}" in up.said)
    assert not (up.data_dir / "run").exists()
