"""Keep the estimated shares of a job: somebody asks for them, and a worker estimates.

An estimate is `{"asked_at"}`, with `rung_at` and `begun` (how often, and `begun_at`) while it is
wanted, and once a worker is done `shares` (as `shares_json` writes them) or `error`, the reason why
there are none.
"""

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from facetag.db.tables import WANTED_ESTIMATE, Job
from facetag.errors import JobNotFound

QUIET_S = 60.0
"""After this time without an answer, the doorbell was lost, or the worker is dead."""
ATTEMPTS = 3
"""After this many workers did not come to an end, shares are not estimated."""
NEVER_ENDED = f"{ATTEMPTS} workers died or hung while estimating: their logs may say why."

# Whoever rings or begins leaves the estimate to others for QUIET_S only.
FIND_UNHEARD = text(f"""
    WITH unheard AS (
        SELECT id FROM jobs
        WHERE {WANTED_ESTIMATE} AND deleted_at IS NULL
          AND greatest((estimate ->> 'asked_at')::timestamptz,
                       (estimate ->> 'rung_at')::timestamptz,
                       (estimate ->> 'begun_at')::timestamptz)
              < now() - make_interval(secs => :quiet_s)
        LIMIT :room
        FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE jobs SET estimate = estimate || jsonb_build_object('rung_at', now())
    FROM unheard WHERE jobs.id = unheard.id
    RETURNING jobs.id
""")  # noqa: S608 - built from a constant

BEGIN = text(f"""
    UPDATE jobs SET estimate = estimate || jsonb_build_object(
        'begun', coalesce((estimate ->> 'begun')::int, 0) + 1, 'begun_at', now())
    WHERE id = :id AND {WANTED_ESTIMATE} AND deleted_at IS NULL
      AND coalesce((estimate ->> 'begun_at')::timestamptz < now() - make_interval(secs => :quiet_s),
                   true)
    RETURNING estimate, tenant_id
""")  # noqa: S608 - built from a constant


def ask_for_estimate(session: Session, job_id: uuid.UUID, *, tenant_id: str) -> dict[str, Any]:
    """Note that shares are wanted, in place of an earlier estimate; raises JobNotFound."""
    asked = {"asked_at": datetime.now(UTC).isoformat()}
    found = session.scalar(
        update(Job)
        .where(Job.id == job_id, Job.tenant_id == tenant_id, Job.deleted_at.is_(None))
        .values(estimate=asked)
        .returning(Job.id),
        execution_options={"synchronize_session": False},
    )
    if found is None:
        raise JobNotFound(f"There is no job {job_id}.")
    return asked


def read_estimate(session: Session, job_id: uuid.UUID) -> dict[str, Any] | None:
    """Return a job's estimate; None if nobody asked, or if there is no such job."""
    return session.scalar(select(Job.estimate).where(Job.id == job_id))


def find_unheard_estimates(session: Session, *, room: int) -> list[uuid.UUID]:
    """Return at most `room` jobs whose estimate nobody has worked on for QUIET_S: ring for them."""
    found = session.execute(FIND_UNHEARD, {"quiet_s": QUIET_S, "room": room})
    return list(found.scalars().all())


def begin_estimate(session: Session, job_id: uuid.UUID) -> tuple[dict[str, Any], str] | None:
    """Return the estimate to be made and its tenant; None if there is nothing to do.

    That is so if it is made, if another worker is at it, or after ATTEMPTS.
    """
    row = session.execute(BEGIN, {"id": job_id, "quiet_s": QUIET_S}).one_or_none()
    if row is None:
        return None
    if row.estimate["begun"] > ATTEMPTS:
        keep_estimate(session, job_id, row.estimate, {"error": NEVER_ENDED})
        return None
    return row.estimate, row.tenant_id


def keep_estimate(
    session: Session, job_id: uuid.UUID, asked: dict[str, Any], found: dict[str, Any]
) -> None:
    """Add what was found, unless an estimate was asked for anew meanwhile."""
    asked_at = asked["asked_at"]
    session.execute(
        update(Job)
        .where(Job.id == job_id, Job.estimate["asked_at"].astext == asked_at)
        .values(estimate={"asked_at": asked_at, **found}),
        execution_options={"synchronize_session": False},
    )
