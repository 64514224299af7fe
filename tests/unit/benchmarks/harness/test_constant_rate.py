import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from benchmarks.harness.constant_rate import Latencies, ask_at_rate

STALL_S = 0.6


class Stalling(BaseHTTPRequestHandler):
    """Answers one request after the other; the third one takes long."""

    def do_GET(self):
        self.server.served += 1
        if self.server.served == 3:
            time.sleep(STALL_S)
        self.send_response(503 if self.path == "/broken" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def stalling():
    with HTTPServer(("127.0.0.1", 0), Stalling) as server:
        server.served = 0
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_what_was_due_while_a_service_stood_still_is_late(stalling):
    found = ask_at_rate(stalling, "/", rate=20, seconds=1)
    assert len(found.due_s) == 20
    assert found.failed == 0
    # A user who waits for an answer would have met one slow request; ten were due meanwhile.
    assert np.sum(found.late_ms >= STALL_S * 1000 / 3) >= 5
    assert found.due_s == pytest.approx(np.arange(20) / 20)


def test_failed_requests_are_counted(stalling):
    assert ask_at_rate(stalling, "/broken", rate=10, seconds=0.5).failed == 5


def test_a_summary_names_the_percentiles():
    found = Latencies(np.arange(101.0), np.arange(101.0), failed=2)
    summary = {"p50_ms": 50, "p90_ms": 90, "p99_ms": 99, "p99.9_ms": 99.9, "p100_ms": 100}
    assert found.summary() == {"requests": 101, "failed": 2} | summary
