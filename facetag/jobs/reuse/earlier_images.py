"""Give a new job the images of an earlier one, with their results, by naming positions alone.

Whoever comes back to a folder knows the job that labelled it. Its rows are copied within
PostgreSQL, so that a photo that stays costs neither the client nor the API anything. The new job
begins without them, so that workers label its other images meanwhile.
"""

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from facetag.db.tables import ImageState, Job, JobState
from facetag.errors import JobNotFound, JobStateConflict
from facetag.jobs.counts import close_job_if_done
from facetag.jobs.reuse.known_results import COPIED, COPY_FACES, HOLD_SOURCE

# A share lock: whoever deletes the earlier job meanwhile waits, and then finds that photos of it
# are needed. Its photos stay as long as it does, so nobody need ask whether they are there.
HOLD = text("""
    SELECT id FROM jobs
    WHERE id = :earlier AND tenant_id = :tenant AND deleted_at IS NULL
        AND finished_at IS NOT NULL AND keep_photos
    FOR SHARE
""")

_SOURCES = """
    unnest(CAST(:places AS int[]), CAST(:firsts AS int[]), CAST(:numbers AS int[]))
        AS run(place, first, number)
    JOIN images AS source ON source.job_id = :earlier AND source.position >= run.first
        AND source.position < run.first + run.number AND source.labelling_key = :key
"""
# No other images of the new job stand at these places.
ADDED = text("""
    SELECT EXISTS (
        SELECT FROM unnest(CAST(:places AS int[]), CAST(:numbers AS int[])) AS run(place, number)
        JOIN images ON job_id = :job AND position >= run.place AND position < run.place + run.number
    )
""")
COUNT = text(f"SELECT count(*) FROM {_SOURCES}")  # noqa: S608 - built from constants
ADD = text(f"""
    WITH done AS (
        INSERT INTO images (tenant_id, job_id, position, bucket, key, name, content, reused_from,
            finished_at, {COPIED})
        SELECT source.tenant_id, :job, run.place + source.position - run.first, source.bucket,
            source.key, source.name, source.content, source.id, clock_timestamp(),
            {", ".join(f"source.{column}" for column in COPIED.split(", "))}
        FROM {_SOURCES} {HOLD_SOURCE}
        RETURNING id, state, reused_from AS source
    ), copied AS ({COPY_FACES})
    SELECT state, count(*) AS number FROM done GROUP BY state
""")  # noqa: S608 - built from constants


@dataclass(frozen=True, slots=True)
class Run:
    """Images that follow one another in both jobs: where they stand in each, and how many."""

    place: int
    """Position of the first one in the new job."""
    first: int
    """Position of the first one in the earlier job."""
    number: int


@dataclass(frozen=True, slots=True)
class EarlierImages:
    """Images of an earlier job, in runs by ascending place that do not overlap."""

    job_id: uuid.UUID
    runs: Sequence[Run]

    @property
    def total(self) -> int:
        """The number of images."""
        return sum(run.number for run in self.runs)

    def other_places(self) -> Iterator[int]:
        """Yield the positions of the new job that are left for other images, without end."""
        place = 0
        for run in self.runs:
            yield from range(place, run.place)
            place = run.place + run.number
        while True:
            yield place
            place += 1


def require_held(
    session: Session, earlier: EarlierImages, *, tenant_id: str, key: bytes | None
) -> None:
    """Raise JobStateConflict unless the earlier job holds all these images, labelled under a key.

    It must keep their photos. They stay as long as it does, and nobody deletes it before the end of
    this transaction.
    """
    held = 0
    if session.execute(HOLD, {"earlier": earlier.job_id, "tenant": tenant_id}).one_or_none():
        held = session.execute(COUNT, _values(earlier, key)).scalar_one()
    _require_all(earlier, held)


def take_over(
    session: Session,
    job_id: uuid.UUID,
    earlier: EarlierImages,
    *,
    tenant_id: str,
    key: bytes | None,
) -> Job:
    """Add the images of an earlier job to a new one that was made without them; return the job.

    It may have ended meanwhile. A second call changes nothing. Raises JobNotFound, and
    JobStateConflict as `require_held` does.
    """
    if earlier.job_id < job_id:
        # Rows of jobs are locked by ascending id.
        session.execute(HOLD, {"earlier": earlier.job_id, "tenant": tenant_id})
    job = session.scalar(
        select(Job)
        .where(Job.id == job_id, Job.tenant_id == tenant_id, Job.deleted_at.is_(None))
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if job is None:
        raise JobNotFound(f"There is no job {job_id}.")
    values = _values(earlier, key) | {"job": job_id}
    if session.scalar(ADDED, values):
        return job
    require_held(session, earlier, tenant_id=tenant_id, key=key)
    rows = session.execute(ADD, values)
    added = Counter({row.state: int(row.number) for row in rows})
    # Somebody may have purged a photo since they were counted.
    _require_all(earlier, added.total())
    job.total = (job.total or 0) + added.total()
    job.tagged += added[ImageState.TAGGED]
    job.no_face += added[ImageState.NO_FACE]
    job.reused += added.total()
    job.known = dict(Counter(job.known or {}) + added)
    if job.finished_at is not None:
        job.finished_at = None
        if job.state != JobState.CANCELLED:
            job.state = JobState.RUNNING
        session.flush()
        close_job_if_done(session, job_id)
    session.flush()
    return job


def _values(earlier: EarlierImages, key: bytes | None) -> dict[str, Any]:
    return {
        "earlier": earlier.job_id,
        "key": key,
        "places": [run.place for run in earlier.runs],
        "firsts": [run.first for run in earlier.runs],
        "numbers": [run.number for run in earlier.runs],
    }


def _require_all(earlier: EarlierImages, found: int) -> None:
    if found != earlier.total:
        raise JobStateConflict(
            f"The job {earlier.job_id} does not hold all of these results, or others would be "
            "found now: send the images themselves."
        )
