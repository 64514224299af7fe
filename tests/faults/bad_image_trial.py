"""Label bad and good photos in one job: `python -m tests.faults.bad_image_trial`. Prints each end.

Exit status 1 where a good photo was not tagged, or a bad one ended without a code of its own.
"""

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from tests.faults.bad_images import READING_CODES, make_bad_images
from tests.faults.fault_harness import REAL_WORKER, FaultHarness, with_lease
from tests.faults.long_trial import make_portraits
from tests.faults.trial import post, wait_for_all
from tests.integration.worker.harness import png


@dataclass
class Found:
    """How the images of a job ended; `ends` of the bad ones, by state or code."""

    good_tagged: int
    ends: dict[str, int]
    children: set[int] = field(default_factory=set)
    """The processes that finished them."""
    peak_mb: float = 0.0
    """The most memory that one of them had resident."""


def label_bad_and_good(
    fault_harness: FaultHarness, *, bad: int, good: int, seed: int, portraits: bool = False
) -> Found:
    """Label bad files and good ones, mixed, in one job."""
    rng = random.Random(seed)
    files = [data for _, data in make_bad_images(bad, rng)]
    fine = make_portraits(5 * good, rng) if portraits else [png()]
    fine = [photo for index, photo in enumerate(fine) if index % 5 != 4 and index % 40 != 7]
    mixed = [(data, True) for data in files]
    mixed += [(fine[index % len(fine)], False) for index in range(good)]
    rng.shuffle(mixed)
    keys = fault_harness.harness.put(*(data for data, _ in mixed))
    job_id = post(fault_harness, keys)
    wait_for_all(fault_harness, patience_s=180)
    lines = fault_harness.harness.lines(job_id)
    ends = Counter(
        line["error"]["code"] if line["error"] else line["state"]
        for line, (_, is_bad) in zip(lines, mixed, strict=True)
        if is_bad
    )
    tagged = [
        line["state"] == "tagged"
        for line, (_, is_bad) in zip(lines, mixed, strict=True)
        if not is_bad
    ]
    claimed = {row.claimed_by for row in fault_harness.harness.rows(job_id)}
    children = {int(name.rpartition(":")[2]) for name in claimed}
    alive = [child for worker in fault_harness.workers for child in fault_harness.children(worker)]
    return Found(sum(tagged), dict(ends), children, max(map(_peak_mb, alive), default=0.0))


def _peak_mb(process: psutil.Process) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return round(int(line.split()[1]) / 1024, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bad", type=int, default=2000)
    parser.add_argument("--good", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bundle", action="store_true", help="label with the shipped bundle")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="facetag-bad-") as folder,
        FaultHarness(Path(folder), **with_lease(60.0)) as fault_harness,
    ):
        fault_harness.start_sweeper()
        fault_harness.start_workers(
            1, program=REAL_WORKER
        ) if options.bundle else fault_harness.start_workers(1)
        found = label_bad_and_good(
            fault_harness,
            bad=options.bad,
            good=options.good,
            seed=options.seed,
            portraits=options.bundle,
        )
    print(json.dumps(asdict(found) | {"children": len(found.children)}, indent=2))
    unclassified = set(found.ends) - {"tagged", "no_face"} - {code.value for code in READING_CODES}
    sys.exit(bool(unclassified) or found.good_tagged != options.good)


if __name__ == "__main__":
    main()
