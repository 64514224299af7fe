"""One trial: jobs, faults while they run, and whether every image ended once and as it should."""

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any

from facetag.errors import DatabaseUnavailable
from facetag.jobs import NewImage, create_job
from facetag.queue.celery_app import ring
from tests.faults.fault_harness import FaultHarness
from tests.faults.fault_kinds import KINDS
from tests.integration.worker.harness import png

Line = dict[str, Any]


class Stuck(AssertionError):
    """Images are left over that nobody brings to their end."""


@dataclass
class Verdict:
    """What became of the images of a trial."""

    submitted: int = 0
    terminal: int = 0
    stuck: int = 0
    """Left in `queued` or `running`."""
    lost: int = 0
    """Without a line of their own."""
    doubled: int = 0
    """Faces beyond those of the undisturbed run, or an image with two lines."""
    different: int = 0
    """Lines that differ from the undisturbed run's."""
    suspects: int = 0
    """Images at which a worker died at least once."""
    states: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    examples: list[Any] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        broken = self.stuck + self.lost + self.doubled + self.different
        return broken == 0 and self.terminal == self.submitted

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"sound": self.sound}


def make_photos(number: int, rng: random.Random) -> list[bytes]:
    """Return small photos of many sizes: four in five with a face, one in twenty damaged."""
    photos = []
    for index in range(number):
        width, height = rng.randrange(8, 90), rng.randrange(14, 90)
        photo = png(width, height, "black" if index % 5 == 4 else "white")
        if index % 40 == 7:
            photo = photo[: len(photo) // 2]
        elif index % 40 == 23:
            photo = b""
        photos.append(photo)
    return photos


def store(fault_harness: FaultHarness, photos: Sequence[bytes]) -> list[str]:
    """Store photos and return their keys; one in fifty keys leads to nothing."""
    folder = f"tenants/local/images/{uuid.uuid4().hex}"
    keys = [f"{folder}/{index:06}.png" for index in range(len(photos))]
    with ThreadPoolExecutor(8) as threads:
        list(
            threads.map(
                lambda pair: fault_harness.harness.storage.put(*pair, "image/png"),
                zip(keys, photos, strict=True),
            )
        )
    return [f"{key}-gone" if index % 50 == 11 else key for index, key in enumerate(keys)]


def run_undisturbed(
    fault_harness: FaultHarness, keys: Sequence[str], *, patience_s: float = 60.0
) -> dict[str, Line]:
    """Label the keys without any fault; returns their lines by name."""
    job_id = post(fault_harness, keys)
    wait_for_all(fault_harness, patience_s=patience_s)
    return {line["image"]: line for line in fault_harness.harness.lines(job_id)}


def run_with_faults(
    fault_harness: FaultHarness,
    keys: Sequence[str],
    reference: dict[str, Line],
    *,
    plan: Sequence[str],
    rng: random.Random,
    jobs: int,
    patience_s: float = 60.0,
    close: bool = False,
) -> Verdict:
    """Label the keys in some jobs while faults are done, spread over the work; then judge.

    `close`: numbers may differ a little from the reference, as a network's do in other batches.
    Raises Stuck where nothing moves for `patience_s` seconds though images are left.
    """
    began, before = time.monotonic(), fault_harness.finished()
    size = -(-len(keys) // jobs)
    parts = [keys[start : start + size] for start in range(0, len(keys), size)]
    posted = [post(fault_harness, part) for part in parts[: max(1, jobs // 2)]]
    late = parts[len(posted) :]
    harm = [_Harm(fault_harness, rng.random()) for _ in range(2)]
    for number, kind in enumerate(plan):
        due = (number + 1) * len(keys) // (len(plan) + 2)
        if late and due > len(keys) * len(posted) // (jobs + 1):
            posted.append(post(fault_harness, late.pop(0)))
        wait_for_all(fault_harness, patience_s=patience_s, until=before + due)
        # Two at a time, now and then: an outage in which a worker dies.
        harm[0].wait()
        harm[rng.random() < 0.3].do(kind)
    posted += [post(fault_harness, part) for part in late]
    for each in harm:
        each.wait()
    wait_for_all(fault_harness, patience_s=patience_s)
    verdict = judge(fault_harness, posted, keys, reference, close=close)
    verdict.faults = dict(Counter(plan))
    verdict.seconds = round(time.monotonic() - began, 1)
    return verdict


def post(fault_harness: FaultHarness, keys: Sequence[str], *, rung: bool = True) -> uuid.UUID:
    """Make a job as the API does: in one transaction, and rung for as well as may be.

    Not `rung`: as if Redis had lost its messages at once.
    """
    settings = fault_harness.harness.settings
    images = [NewImage(key, key, settings.s3_bucket) for key in keys]
    # Without the key, an answer that a fault swallowed would leave a second job behind.
    once, until = uuid.uuid4().hex, time.monotonic() + 60
    while True:
        try:
            with fault_harness.harness.transaction() as session:
                job, _ = create_job(session, tenant_id="local", images=images, idempotency_key=once)
            break
        except DatabaseUnavailable:
            assert time.monotonic() < until
            time.sleep(0.2)
    if rung:
        ring(fault_harness.harness.celery, job.id, images=len(images), settings=settings)
    return job.id


def wait_for_all(
    fault_harness: FaultHarness, *, patience_s: float, until: int | None = None
) -> None:
    """Wait until all jobs are closed, or `until` images have ended; Stuck where nothing moves."""
    seen, moved = -1, time.monotonic()
    while True:
        finished = fault_harness.finished()
        done = fault_harness.ask("SELECT bool_and(finished_at IS NOT NULL) FROM jobs")
        if done or (until is not None and finished >= until):
            return
        if finished != seen:
            seen, moved = finished, time.monotonic()
        if time.monotonic() - moved > patience_s:
            states = fault_harness.ask("SELECT json_agg(json_build_array(state, total)) FROM jobs")
            raise Stuck(f"{finished} images ended, then nothing for {patience_s} s: {states}")
        time.sleep(0.2)


def judge(
    fault_harness: FaultHarness,
    jobs: Sequence[uuid.UUID],
    keys: Sequence[str],
    reference: dict[str, Line],
    *,
    close: bool = False,
) -> Verdict:
    """Compare what the jobs hold with what an undisturbed run gave."""
    # Harness.job also checks that each job's counts are those of its rows.
    counted = [fault_harness.harness.job(job_id) for job_id in jobs]
    lines = [line for job_id in jobs for line in fault_harness.harness.lines(job_id)]
    rows = [row for job_id in jobs for row in fault_harness.harness.rows(job_id)]
    verdict = Verdict(submitted=len(keys), states=dict(Counter(line["state"] for line in lines)))
    verdict.stuck = sum(job.queued + job.running for job in counted)
    verdict.terminal = sum(job.tagged + job.no_face + job.failed + job.cancelled for job in counted)
    verdict.lost = len(set(keys) - {line["image"] for line in lines})
    verdict.suspects = sum(row.suspicion > 0 for row in rows)
    stored = fault_harness.ask(
        "SELECT count(*) FROM faces JOIN images ON images.id = image_id WHERE job_id = ANY(:jobs)",
        jobs=list(jobs),
    )
    expected = sum(len(reference[key]["faces"]) for key in keys)
    verdict.doubled = max(0, stored - expected) + len(lines) - len({one["image"] for one in lines})
    for line in lines:
        wanted = reference[line["image"]]
        if not (alike(line, wanted) if close else line == wanted):
            verdict.different += 1
            verdict.examples = [*verdict.examples, [line, wanted]][:3]
    return verdict


def alike(one: Any, other: Any) -> bool:
    """Whether two values are the same but for a little in their numbers."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) <= 0.03 + 0.01 * abs(other)
    return bool(one == other)


class _Harm:
    """Do faults one after the other, in a thread."""

    def __init__(self, fault_harness: FaultHarness, seed: float) -> None:
        self._arena = fault_harness
        self._rng = random.Random(seed)
        self._threads = ThreadPoolExecutor(1)
        self._last: Any = None

    def do(self, kind: str) -> None:
        self.wait()
        self._last = self._threads.submit(self._do, kind)

    def wait(self) -> None:
        if self._last is not None:
            self._last.result()

    def _do(self, kind: str) -> None:
        with _ONE_AT_A_TIME.get(kind.rpartition("_")[2], nullcontext()):
            KINDS[kind](self._arena, self._rng)


_VALKEY = threading.Lock()
_ONE_AT_A_TIME: dict[str, Any] = {
    "empty": _VALKEY,
    "valkey": _VALKEY,
    "postgres": threading.Lock(),
    "storage": threading.Lock(),
}
"""By the last word of a fault: two at one server would step on one another's process."""
