"""One retraining at a time, wherever it runs: its row, its log, and the lock that dies with it."""

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, cast, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from facetag.errors import NotFound, RetrainingBusy
from facetag.tables import Retraining, RetrainingState

OPEN = (RetrainingState.QUEUED, RetrainingState.RUNNING)
NAME = "hashtextextended('retraining/' || :tenant_id, 0)"


@contextmanager
def hold_lock(engine: Engine, *, tenant_id: str) -> Iterator[None]:
    """Be the one process that retrains; raises RetrainingBusy where another one is.

    The lock belongs to a connection: a process that is killed holds it no longer.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        query = text(f"SELECT pg_try_advisory_lock({NAME})")
        if not connection.scalar(query, {"tenant_id": tenant_id}):
            raise RetrainingBusy(
                "Another retraining runs: wait for it, see `facetag models status`."
            )
        try:
            yield
        finally:
            query = text(f"SELECT pg_advisory_unlock({NAME})")
            connection.execute(query, {"tenant_id": tenant_id})


def open_retraining(
    session: Session, plan: Mapping[str, Any], *, tenant_id: str, queued: bool
) -> Retraining:
    """Return the open retraining of this plan, or a new one.

    Whoever opens one to run it here (`queued` false) holds the lock, so an open one of another plan
    that ran was killed: it is abandoned. Raises RetrainingBusy where another plan is queued, or
    where a queued one would come beside one that is open.
    """
    found = find_open(session, tenant_id=tenant_id)
    if found is not None and found.plan == dict(plan):
        return found
    if found is not None:
        if queued or found.state == RetrainingState.QUEUED:
            raise RetrainingBusy(
                f"The retraining {found.id} of other shards is {found.state}: wait for it, or take "
                "it back with `facetag models status --abandon`."
            )
        close_retraining(session, found.id, RetrainingState.ABANDONED)
    row = Retraining(
        id=uuid.uuid4(),
        tenant_id=tenant_id,
        state=RetrainingState.QUEUED if queued else RetrainingState.RUNNING,
        plan=dict(plan),
    )
    session.add(row)
    session.flush()
    return row


def find_open(session: Session, *, tenant_id: str) -> Retraining | None:
    """Return the retraining that is queued or running (or was killed while it ran)."""
    return session.scalar(
        select(Retraining)
        .where(Retraining.tenant_id == tenant_id, Retraining.state.in_(OPEN))
        .with_for_update()
    )


def find_retraining(session: Session, *, tenant_id: str) -> Retraining:
    """Return the newest retraining; raises NotFound where there was none."""
    found = session.scalar(
        select(Retraining)
        .where(Retraining.tenant_id == tenant_id)
        .order_by(Retraining.created_at.desc())
        .limit(1)
    )
    if found is None:
        raise NotFound("Nothing was retrained yet: see `facetag retrain --help`.")
    return found


def start_retraining(session: Session, retraining_id: uuid.UUID) -> None:
    """Record that it runs now."""
    session.execute(
        update(Retraining)
        .where(Retraining.id == retraining_id)
        .values(state=RetrainingState.RUNNING, started_at=func.now(), error=None)
    )


def append_log(session: Session, retraining_id: uuid.UUID, line: str) -> None:
    """Add a line to a retraining's log."""
    entry = [[datetime.now(UTC).isoformat(timespec="seconds"), line]]
    session.execute(
        update(Retraining)
        .where(Retraining.id == retraining_id)
        .values(log=Retraining.log.op("||")(cast(entry, JSONB)))
    )


def close_retraining(
    session: Session,
    retraining_id: uuid.UUID,
    state: RetrainingState,
    *,
    version: str | None = None,
    error: str | None = None,
) -> None:
    """Record how a retraining ended."""
    session.execute(
        update(Retraining)
        .where(Retraining.id == retraining_id)
        .values(state=state, version=version, error=error, finished_at=func.now())
    )


def plan_digest(plan: Mapping[str, Any]) -> str:
    """Return a short name for a plan; an equal one has an equal name."""
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()[:16]
