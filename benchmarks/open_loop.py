"""A locust file that asks one path at a constant rate, whatever the answers take.

Locust's own users wait for an answer before they ask again, so a service that stands still is asked
less, and looks better than it is. Here each request has its time in a schedule, is sent by a
greenlet of its own, and its latency counts from when it was due. `benchmarks.load` runs it.
"""

import json
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import gevent
from gevent.pool import Group
from locust import FastHttpUser, events, task

MOST_CONNECTIONS = 256


@events.init_command_line_parser.add_listener
def add_options(parser: ArgumentParser, **_: Any) -> None:
    """Add what the schedule needs to locust's options."""
    parser.add_argument("--path", default="/healthz", help="What is asked for.")
    parser.add_argument("--rate", type=float, default=50.0, help="Requests a second.")
    parser.add_argument("--seconds", type=float, default=60.0, help="How long requests are sent.")
    parser.add_argument("--samples", default="samples.json", help="File for the latencies.")


class Schedule(FastHttpUser):
    """The one user: it sends all requests, each when it is due."""

    concurrency = MOST_CONNECTIONS

    @task
    def send_all(self) -> None:
        """Send the requests, wait for all answers, write the samples and end the run."""
        options = self.environment.parsed_options
        sent, samples = Group(), []

        def ask(due: float) -> None:
            answer = self.client.get(options.path)
            late_ms = (time.perf_counter() - due) * 1000
            samples.append([due - began, late_ms, answer.status_code])

        began = time.perf_counter()
        for number in range(int(options.rate * options.seconds)):
            due = began + number / options.rate
            gevent.sleep(max(0.0, due - time.perf_counter()))
            sent.spawn(ask, due)
        sent.join()
        Path(options.samples).write_text(json.dumps(sorted(samples)))
        self.environment.runner.quit()
