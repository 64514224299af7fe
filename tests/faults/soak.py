"""Whether a worker grows with its work: `python -m tests.faults.soak`. Prints what it holds.

10,000 images in jobs of 500 through one worker, or as many jobs as `--minutes` give time for
(`--bundle` for the shipped network), with a sample of memory, file descriptors and database
connections every few seconds. The figures are medians of the second tenth and of the last tenth of
the samples.
"""

import argparse
import json
import math
import random
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from facetag.standalone.processes.process import ChildProcess
from tests.faults.fault_harness import REAL_WORKER, FaultHarness
from tests.faults.long_trial import make_portraits, tell
from tests.faults.trial import make_photos, post, store, wait_for_all

PATIENCE_S = 900.0
"""How long nothing may move: a machine that does other work as well loads a network for minutes."""
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'facetag%'"


@dataclass(frozen=True, slots=True)
class Sample:
    """What the worker with its children and the sweeper hold at one moment."""

    worker_mb: float
    sweeper_mb: float
    worker_files: int
    sweeper_files: int
    connections: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no job after these")
    parser.add_argument("--bundle", action="store_true", help="label with the shipped bundle")
    parser.add_argument("--every-s", type=float, default=5.0)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="facetag-soak-") as folder,
        FaultHarness(Path(folder)) as fault_harness,
    ):
        rng = random.Random(1)
        photos = make_portraits(500, rng) if options.bundle else make_photos(500, rng)
        keys = store(fault_harness, photos)
        fault_harness.start_sweeper()
        fault_harness.start_workers(
            1, program=REAL_WORKER
        ) if options.bundle else fault_harness.start_workers(1)
        post(fault_harness, keys)
        wait_for_all(fault_harness, patience_s=PATIENCE_S)
        tell("warm")
        until = time.monotonic() + 60 * options.minutes
        samples = work_and_watch(fault_harness, keys, options.images, options.every_s, until)
    tenth = max(1, len(samples) // 10)
    parts = {"second tenth": samples[tenth : 2 * tenth], "last tenth": samples[-tenth:]}
    print(json.dumps({name: median_of(part) for name, part in parts.items()}, indent=2))


def work_and_watch(
    fault_harness: FaultHarness, keys: list[str], images: int, every_s: float, until: float
) -> list[Sample]:
    """Label images in jobs of all keys, and return the samples taken meanwhile.

    No job is begun past `until`, in seconds of time.monotonic.
    """
    samples: list[Sample] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(every_s):
            samples.append(take_sample(fault_harness))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for number in range(-(-images // len(keys))):
            if time.monotonic() > until:
                break
            post(fault_harness, keys)
            wait_for_all(fault_harness, patience_s=PATIENCE_S)
            tell(f"{(number + 1) * len(keys)} images; {samples[-1] if samples else ''}")
    finally:
        done.set()
        watcher.join()
    return samples


def take_sample(fault_harness: FaultHarness) -> Sample:
    (worker,), sweeper = fault_harness.workers, fault_harness.sweeper
    assert sweeper is not None
    return Sample(
        *(megabytes(one) for one in (worker, sweeper)),
        *(open_files(one) for one in (worker, sweeper)),
        fault_harness.ask(CONNECTIONS),
    )


def family(process: ChildProcess) -> list[psutil.Process]:
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


def megabytes(process: ChildProcess) -> float:
    """Return the unshared memory of a process with its children."""
    return sum(one.memory_full_info().uss for one in family(process)) / 2**20


def open_files(process: ChildProcess) -> int:
    return sum(one.num_fds() for one in family(process))


def median_of(samples: list[Sample]) -> dict[str, float]:
    names = Sample.__dataclass_fields__
    return {
        name: round(statistics.median(getattr(one, name) for one in samples), 1) for name in names
    }


if __name__ == "__main__":
    main()
