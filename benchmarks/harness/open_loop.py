"""Request one path at a constant rate with locust, however long the answers take.

Locust's own users wait for an answer before their next request, so a service that stalls gets fewer
requests and looks faster than it is. Here each request has its time in a schedule, a greenlet of
its own sends it, and its latency counts from the time it was due. `constant_rate` runs this file.
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
    """Add the options of the schedule to those of locust."""
    parser.add_argument("--path", default="/healthz", help="Path to request.")
    parser.add_argument("--key", default="", help="Key of the service.")
    parser.add_argument("--rate", type=float, default=50.0, help="Requests per second.")
    parser.add_argument("--seconds", type=float, default=60.0, help="How long requests are sent.")
    parser.add_argument("--samples", default="samples.json", help="File for the latencies.")


class Schedule(FastHttpUser):
    """Send all requests as one user, each when it is due."""

    concurrency = MOST_CONNECTIONS

    @task
    def send_all(self) -> None:
        """Send the requests, wait for all answers, write the samples and end the run."""
        options = self.environment.parsed_options
        sent, samples = Group(), []
        headers = {"Authorization": f"Bearer {options.key}"}

        def ask(due: float) -> None:
            answer = self.client.get(options.path, headers=headers)
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
