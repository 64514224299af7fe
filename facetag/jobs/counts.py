"""Change a job's counts with its images' states, and check them when the job closes."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, BigInteger, func, literal, select, text, update
from sqlalchemy.orm import Session

from facetag.db.tables import TERMINAL_JOB_STATES, CountChange, Image, ImageState, Job, JobState
from facetag.errors import JobStateConflict
from facetag.jobs.duplicate_marks import mark_duplicates

CANCEL_BATCH = 10_000
"""Images that are cancelled at a time: a million would take more than a minute."""
CANCELLED_AT_ONCE = 1_000
"""Images that are cancelled at a time while somebody waits for the answer."""

COUNTED = (*(state.value for state in ImageState), "reused")

# A statement takes the changes that were left before it began; later ones stay for the next.
_APPLY = f"""
    left_over AS (
        DELETE FROM count_changes WHERE job_id = (SELECT id FROM held) RETURNING *
    ), change AS (
        SELECT {", ".join(f"coalesce(sum({name}), 0) + :{name} AS {name}" for name in COUNTED)}
        FROM left_over
    ), applied AS (
        UPDATE jobs SET {", ".join(f"{name} = jobs.{name} + change.{name}" for name in COUNTED)},
            rung_at = CASE WHEN :served THEN now() ELSE rung_at END,
            started_at = CASE WHEN :served THEN coalesce(started_at, now()) ELSE started_at END,
            state = CASE WHEN :served AND state = 'queued' THEN 'running' ELSE state END
        FROM held, change WHERE jobs.id = held.id
        RETURNING jobs.queued = 0 AND jobs.running = 0 OR jobs.state = 'cancelled' AS over
    )
"""  # noqa: S608 - built from constants
APPLY = text(f"""
    WITH held AS (SELECT id FROM jobs WHERE id = :job FOR NO KEY UPDATE), {_APPLY}
    SELECT over FROM applied
""")  # noqa: S608 - built from constants
APPLY_OR_LEAVE = text(f"""
    WITH held AS (SELECT id FROM jobs WHERE id = :job FOR NO KEY UPDATE SKIP LOCKED), {_APPLY},
    late AS (
        INSERT INTO count_changes (job_id, {", ".join(COUNTED)})
        SELECT :job, {", ".join(f":{name}" for name in COUNTED)}
        WHERE NOT EXISTS (SELECT FROM applied)
    )
    SELECT over FROM applied
""")  # noqa: S608 - built from constants


def move_counts(
    session: Session,
    job_id: uuid.UUID,
    changes: Mapping[ImageState, int],
    *,
    reused: int = 0,
    served: bool = False,
    wait: bool = True,
) -> bool:
    """Apply the caller's changes of image states to the job's counts, and add to its `reused`.

    `changes`, such as `{QUEUED: -3, RUNNING: 3}`, must add up to 0. The job's row is locked, so
    lock the images first. With `served`, the job is noted as started, and served now. Without
    `wait`, the changes are left to the next transaction that has the row, if another one holds it
    now: that one, or `apply_left_counts`, applies them. Returns whether the job may be closed now.
    Raises JobStateConflict if `wait` is given and the job was deleted.
    """
    if sum(changes.values()) != 0:
        raise ValueError(f"images cannot appear or vanish: {dict(changes)}")
    values = dict.fromkeys(COUNTED, 0) | {state.value: by for state, by in changes.items()}
    values["reused"] = reused
    statement = APPLY if wait else APPLY_OR_LEAVE
    row = session.execute(statement, {"job": job_id, "served": served, **values}).one_or_none()
    if wait and row is None:
        raise JobStateConflict(f"Job {job_id} was deleted.")
    return row is not None and bool(row.over)


def apply_left_counts(session: Session, job_id: uuid.UUID) -> bool:
    """Apply changes that were left, and close the job if it is done; return whether it was closed.

    Whoever records the last images of a job calls this afterwards, so that nothing stays left.
    """
    left = select(CountChange.id).where(CountChange.job_id == job_id).exists()
    return bool(session.scalar(select(left))) and close_job_if_done(session, job_id)


def cancel_queued_images(session: Session, job_id: uuid.UUID, *, at_most: int) -> int:
    """Cancel up to `at_most` of the job's queued images that nobody locks; return how many.

    The caller changes the counts. The ids travel as arrays: of a subquery, statistics that do not
    know the job yet expect one row, and PostgreSQL then compares every pair of rows.
    """
    next_ones = session.scalars(
        select(Image.id)
        .where(Image.job_id == job_id, Image.state == ImageState.QUEUED)
        .order_by(Image.suspicion, Image.position)
        .limit(at_most)
    ).all()
    queued = session.scalars(
        select(Image.id)
        .where(Image.id == func.any(_as_array(next_ones)), Image.state == ImageState.QUEUED)
        .order_by(Image.id)
        .with_for_update(skip_locked=True)
    ).all()
    cancelled = session.execute(
        update(Image)
        .where(Image.id == func.any(_as_array(queued)))
        .values(state=ImageState.CANCELLED, finished_at=func.now()),
        execution_options={"synchronize_session": False},
    )
    return int(cancelled.rowcount)  # type: ignore[attr-defined]


def _as_array(ids: Sequence[int]) -> Any:
    return literal(list(ids), ARRAY(BigInteger))


def close_job_if_done(session: Session, job_id: uuid.UUID) -> bool:
    """Close a job without queued or running images; return whether it was closed.

    Counts that were left are applied. The rows are counted under a lock of the job's row, and the
    counts are written. Because the rows may be many, they are counted only if the job's counts say
    that nothing is open. A job that is being listed, or is closed already, is left alone. If the
    job is cancelled, the next CANCEL_BATCH of its queued images are cancelled first. Duplicates
    among its images are marked.
    """
    nothing = dict.fromkeys(COUNTED, 0)
    if not session.execute(APPLY, {"job": job_id, "served": False, **nothing}).scalar():
        return False
    job = session.get_one(Job, job_id, populate_existing=True)
    if job.finished_at is not None or job.state == JobState.LISTING:
        return False
    if job.state == JobState.CANCELLED and (
        given_back := cancel_queued_images(session, job_id, at_most=CANCEL_BATCH)
    ):
        move_counts(
            session, job_id, {ImageState.QUEUED: -given_back, ImageState.CANCELLED: given_back}
        )
        session.refresh(job)
    if job.queued or job.running:
        return False
    counts = count_images(session, job_id)
    if counts[ImageState.QUEUED] or counts[ImageState.RUNNING]:
        return False
    mark_duplicates(session, job_id)
    session.execute(
        update(Job)
        .where(Job.id == job_id)
        .values(
            {state.value: number for state, number in counts.items()}
            | {
                "state": _closed_state(JobState(job.state), counts),
                "total": sum(counts.values()),
                "finished_at": func.clock_timestamp(),
            }
        ),
        execution_options={"synchronize_session": False},
    )
    session.refresh(job)
    return True


def count_images(session: Session, job_id: uuid.UUID) -> dict[ImageState, int]:
    """Return the number of the job's images in each state, zeroes included."""
    rows = session.execute(
        select(Image.state, func.count()).where(Image.job_id == job_id).group_by(Image.state)
    )
    return dict.fromkeys(ImageState, 0) | {ImageState(state): number for state, number in rows}


def _closed_state(state: JobState, counts: Mapping[ImageState, int]) -> JobState:
    if state in TERMINAL_JOB_STATES:
        return state
    failed, total = counts[ImageState.FAILED], sum(counts.values())
    if failed and failed == total:
        return JobState.FAILED
    return JobState.COMPLETED_WITH_ERRORS if failed else JobState.COMPLETED
