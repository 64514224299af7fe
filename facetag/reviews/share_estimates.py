"""Keep the estimated shares of a job: somebody asks for them, and a worker estimates.

An estimate is `{"asked_at"}`, and once a worker is done also `shares` (as `shares_json` writes
them) or `error`, the reason why there are none.
"""

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from facetag.db.tables import Job
from facetag.errors import JobNotFound


def ask_for_estimate(session: Session, job_id: uuid.UUID, *, tenant_id: str) -> dict[str, Any]:
    """Note that shares are wanted, in place of an earlier estimate; raises JobNotFound."""
    asked = {"asked_at": datetime.now(UTC).isoformat()}
    found = session.scalar(
        update(Job)
        .where(Job.id == job_id, Job.tenant_id == tenant_id)
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


def keep_estimate(
    session: Session, job_id: uuid.UUID, asked: dict[str, Any], found: dict[str, Any]
) -> None:
    """Add what was found, unless an estimate was asked for anew meanwhile."""
    session.execute(
        update(Job)
        .where(Job.id == job_id, Job.estimate == asked)
        .values(estimate={**asked, **found}),
        execution_options={"synchronize_session": False},
    )
