"""Give a fleet jobs, and read from the tables how its workers share them."""

import io
import math
import statistics
import time
import uuid

from PIL import Image
from sqlalchemy import text

from facetag.db.engine import make_engine, make_sessions, transaction
from facetag.jobs import NewImage, create_job
from facetag.queue.celery_app import make_celery, ring
from facetag.settings import Settings
from facetag.storage.client import make_storage

CHUNKS_A_WORKER = 4
"""Chunks of the first job for each worker."""
SLACK = 2.0
"""How many times as long as by even shares the first job may take."""
START_S = 60.0
"""Seconds that it may take besides."""
LOOK_S = 0.1
SAMPLES = 20
"""How often the division among two jobs is read."""

BUSY = text("""
    SELECT count(DISTINCT claimed_by) FROM images WHERE job_id = :job AND claimed_by IS NOT NULL
""")
OPEN = text("SELECT count(*) FROM jobs WHERE id = :job AND finished_at IS NULL")
DONE = text("""
    SELECT count(*) FROM images WHERE job_id = :job AND state = 'tagged' GROUP BY claimed_by
""")
SERVING = text("""
    SELECT job_id, count(DISTINCT claimed_by) FROM images WHERE state = 'running' GROUP BY job_id
""")


class SharedJobs:
    """Jobs of one photo, many times, for `workers` simulated workers."""

    def __init__(self, settings: Settings, workers: int, *, photo_s: float) -> None:
        self.workers = workers
        self._settings = settings
        self._photo_s = photo_s
        self._engine = make_engine(settings)
        self._sessions = make_sessions(self._engine)
        self._celery = make_celery(settings)
        self._key = f"tenants/local/images/{uuid.uuid4().hex}.png"
        self._photos = CHUNKS_A_WORKER * settings.chunk_images * workers
        self._last: uuid.UUID
        make_storage(settings).put(self._key, white_pixel(), "image/png")

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def add_and_wait_busy(self, *, patience_s: float) -> tuple[int, float]:
        """Add a job; return how many workers were busy with it, and after how many seconds."""
        self._last = self._add(self._photos)
        began = time.monotonic()
        busy = 0
        while busy < self.workers and time.monotonic() - began < patience_s:
            time.sleep(LOOK_S)
            with transaction(self._sessions) as session:
                busy = session.scalar(BUSY, {"job": self._last}) or 0
        return busy, time.monotonic() - began

    def wait_for_shares(self) -> list[float]:
        """Wait until the job has ended; return each worker's images, in even shares.

        Raises RuntimeError if it does not end, or if images could not be labelled.
        """
        even = self._photos / self.workers
        deadline = time.monotonic() + START_S + SLACK * even * self._photo_s
        job = {"job": self._last}
        while True:
            with transaction(self._sessions) as session:
                if not session.scalar(OPEN, job):
                    done = [row[0] for row in session.execute(DONE, job)]
                    break
            if time.monotonic() > deadline:
                raise RuntimeError("the job took more than twice the time of even shares")
            time.sleep(1)
        if sum(done) != self._photos:
            raise RuntimeError(f"only {sum(done)} of {self._photos} images were labelled")
        return [count / even for count in done] + [0.0] * (self.workers - len(done))

    def divide_between_two(self) -> tuple[float, float, float]:
        """Add a job, and a second one when all work on it, and wait for two drains of each worker.

        Returns the seconds from the second job on, and the mean number of workers at each job over
        the time of the last chunk. Both jobs are too long to end within that time.
        """
        chunk_s = self._settings.chunk_images * self._photo_s
        drain_s = chunk_s * (1 + math.ceil(self._settings.drain_s / chunk_s))
        self._photos = int(self.workers * (3 * drain_s + chunk_s) / self._photo_s)
        self.add_and_wait_busy(patience_s=drain_s)
        first, second = self._last, self._add(self._photos)
        time.sleep(2 * drain_s - chunk_s)
        counts = []
        for _ in range(SAMPLES):
            time.sleep(chunk_s / SAMPLES)
            counts.append(self._count_serving(first, second))
        at_first, at_second = zip(*counts, strict=True)
        return 2 * drain_s, statistics.fmean(at_first), statistics.fmean(at_second)

    def _count_serving(self, *jobs: uuid.UUID) -> tuple[int, ...]:
        with transaction(self._sessions) as session:
            serving = {row[0]: row[1] for row in session.execute(SERVING)}
        return tuple(serving.get(job, 0) for job in jobs)

    def _add(self, photos: int) -> uuid.UUID:
        """Make a job of the same photo so many times, and ring for it as the API does."""
        bucket = self._settings.s3_bucket
        images = [NewImage(self._key, f"{number}.png", bucket) for number in range(photos)]
        with transaction(self._sessions) as session:
            job, _ = create_job(session, tenant_id="local", images=images, reuse=False)
        ring(self._celery, job.id, images=photos, settings=self._settings)
        return job.id


def white_pixel() -> bytes:
    """Return a white PNG of one pixel."""
    written = io.BytesIO()
    Image.new("L", (1, 1), "white").save(written, "PNG")
    return written.getvalue()
