"""Measure how soon `facetag tag` of three photos prints its first label, and what that costs.

    python -m benchmarks.start_time

The seconds run from the start of the command to its first line of output, at each of:

- `first`: the first run ever: no network is kept, no cluster of PostgreSQL is there;
- `service`: a run that finds the service of the run before;
- `cache`: a run that finds the kept network, but no service;
- `killed`: from the SIGKILL of the service's worker to the first label of a run that begins then.

Processor time is that of all processes, servers included, up to the end of the command.
"""

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click
import psutil

from benchmarks.harness.machine import describe_machine, in_words
from benchmarks.harness.photo_mix import write_photos
from facetag.standalone.announcements import find_announced
from facetag.standalone.processes.environment import python_environment

PR_SET_CHILD_SUBREAPER = 36
RUNS = ("first", "service", "cache", "killed")
COMMAND = (sys.executable, "-P", "-m", "facetag_cli.main")


@dataclass(frozen=True, slots=True)
class Start:
    """Hold the seconds to the first label, and the processor seconds of the whole command."""

    label_s: float
    processor_s: float


class Place:
    """Run the command with a data folder and a cache of its own, on photos of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs = 0
        self._environment = python_environment(
            XDG_CACHE_HOME=str(folder / "cache"), FACETAG_DATA_DIR=str(folder / "data")
        )

    def tag(self, *, since: float | None = None) -> Start:
        """Label three photos that were never seen before; `since` is an earlier beginning."""
        self._runs += 1
        photos = self._folder / f"photos-{self._runs}"
        write_photos(photos, 3, seed=self._runs)
        spent = _spent_s()
        began = time.monotonic()
        command = [*COMMAND, "tag", str(photos), "--format", "jsonl", "--quiet"]
        with subprocess.Popen(
            command, env=self._environment, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            line = json.loads(process.stdout.readline())
            seconds = time.monotonic() - (since or began)
            process.stdout.read()
        if process.returncode or line["state"] not in ("tagged", "no_face"):
            raise click.ClickException(f"facetag tag failed: {line}")
        return Start(seconds, _spent_s() - spent)

    def kill_worker(self) -> float:
        """Kill the worker with all its processes; return the moment."""
        announced = find_announced(self._folder / "data")
        assert announced is not None
        for child in psutil.Process(announced.pid).children():
            if "worker" in child.cmdline():
                moment = time.monotonic()
                os.killpg(child.pid, signal.SIGKILL)
                return moment
        raise click.ClickException("The service runs no worker.")

    def down(self) -> None:
        """End the service."""
        subprocess.run([*COMMAND, "down", "--quiet"], env=self._environment, check=True)


@contextmanager
def open_place() -> Iterator[Place]:
    """Yield a new place; at the end its service is ended and its files are removed."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        try:
            yield place
        finally:
            place.down()


def measure() -> dict[str, Start]:
    """Measure each kind of start once."""
    with open_place() as place:
        starts = {"first": place.tag(), "service": place.tag()}
        place.down()
        starts["cache"] = place.tag()
        starts["killed"] = place.tag(since=place.kill_worker())
    return starts


def _spent_s() -> float:
    """Return the processor seconds of all descendants, those that have ended included."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = ended.ru_utime + ended.ru_stime
    for process in psutil.Process().children(recursive=True):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        spent += times.user + times.system + times.children_user + times.children_system
    return spent


@click.command(help=__doc__)
@click.option("--rounds", default=3, show_default=True, help="Rounds to take medians over.")
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table",
              show_default=True, help="Output format.")  # fmt: skip
def main(rounds: int, format_: str) -> None:
    """Measure in rounds and print the figures."""
    machine = describe_machine()
    # A service outlives its command: this process inherits it, so that its time is counted.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    measured = [measure() for _ in range(rounds)]
    report = {
        name: {
            "label_s": round(median(one[name].label_s for one in measured), 2),
            "processor_s": round(median(one[name].processor_s for one in measured), 2),
        }
        for name in RUNS
    }
    if format_ == "json":
        click.echo(json.dumps({"machine": machine, "rounds": rounds, "starts": report}, indent=2))
        return
    click.echo(in_words(machine))
    for name, start in report.items():
        click.echo(
            f"{name:8} first label after {start['label_s']:6.2f} s, "
            f"{start['processor_s']:6.2f} s of processor time"
        )


if __name__ == "__main__":
    main()
