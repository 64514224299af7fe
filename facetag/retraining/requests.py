"""Retrainings by the queue as their askers see them: asked for, found, cancelled, one at a time.

Every function takes a Session inside a transaction and leaves the commit to its caller.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from sqlalchemy import String, cast, func, select
from sqlalchemy.orm import Session

from facetag.db.tables import Retraining, RetrainingState
from facetag.errors import RetrainingBusy, RetrainingEnded, RetrainingUnknown
from facetag.retraining.lock import try_lock
from facetag.retraining.log_lines import append_lines

Source = Mapping[str, str]
"""A shard as a trainer worker finds it: `{"url"}`, or `{"name", "sha256"}` of a stored one."""


def ask_retraining(
    session: Session,
    shards: Mapping[str, Sequence[Source]],
    options: Mapping[str, Any],
    *,
    tenant_id: str,
) -> Retraining:
    """Write down a retraining for a trainer worker; `shards` are lists `new`, `earlier`, `tests`.

    Raises RetrainingBusy where another one waits or runs, by the queue or without it.
    """
    require_free(session, tenant_id=tenant_id)
    row = Retraining(
        id=uuid.uuid4(),
        tenant_id=tenant_id,
        shards={name: [dict(one) for one in given] for name, given in shards.items()},
        options=dict(options),
    )
    session.add(row)
    session.flush()
    append_lines(session, row.id, ["queued"], tenant_id=tenant_id)
    return session.get_one(Retraining, row.id, populate_existing=True)


def require_free(session: Session, *, tenant_id: str) -> None:
    """Keep others from retraining until the transaction ends; raises RetrainingBusy."""
    free = try_lock(session, tenant_id=tenant_id)
    # The row says more of who is in the way.
    refuse_open(session, tenant_id=tenant_id)
    if not free:
        raise RetrainingBusy


def refuse_open(session: Session, *, tenant_id: str, but: uuid.UUID | None = None) -> None:
    """Raise RetrainingBusy where a retraining waits or runs by the queue, `but` this one."""
    row = find_open(session, tenant_id=tenant_id)
    if row is not None and row.id != but:
        raise RetrainingBusy(
            f"Retraining {name_retraining(row)} {tell_state(row)}: wait until it has ended "
            "(`facetag models status`), or end it with `facetag models cancel`."
        )


def find_open(session: Session, *, tenant_id: str) -> Retraining | None:
    """Return the retraining that waits or runs by the queue; None without any."""
    ours = select(Retraining).where(
        Retraining.tenant_id == tenant_id, Retraining.finished_at.is_(None)
    )
    return session.scalars(ours).one_or_none()


def find_retraining(session: Session, which: str | None, *, tenant_id: str) -> Retraining:
    """Return a retraining by its id or the beginning of it; the newest without `which`.

    Raises RetrainingUnknown.
    """
    query = (
        select(Retraining)
        .where(Retraining.tenant_id == tenant_id)
        .order_by(Retraining.created_at.desc(), Retraining.id)
    )
    if which is None:
        newest = session.scalars(query.limit(1)).one_or_none()
        if newest is None:
            raise RetrainingUnknown("No retraining was asked of the queue yet.")
        return newest
    begins = cast(Retraining.id, String).startswith(which.lower(), autoescape=True)
    found = session.scalars(query.where(begins).limit(2)).all()
    if len(found) != 1:
        kind = "Several retrainings begin" if found else "No retraining begins"
        raise RetrainingUnknown(f"{kind} with {which}: give more of its id.")
    return found[0]


def cancel_retraining(session: Session, which: str | None, *, tenant_id: str) -> Retraining:
    """End a retraining; who works on it notices within seconds, and none of it becomes visible.

    Raises RetrainingUnknown, and RetrainingEnded where it has ended already.
    """
    row = find_retraining(session, which, tenant_id=tenant_id)
    session.refresh(row, with_for_update=True)
    if row.finished_at is not None:
        raise RetrainingEnded(f"Retraining {name_retraining(row)} {tell_state(row)}.")
    row.state = RetrainingState.CANCELLED.value
    row.claim_token = row.lease_until = None
    # By the database's clock, like every other moment of a row.
    row.finished_at = session.scalar(select(func.now()))
    append_lines(session, row.id, ["cancelled"], tenant_id=tenant_id)
    return row


def name_retraining(row: Retraining) -> str:
    """Return the beginning of an id, by which people name a retraining."""
    return str(row.id)[:8]


def tell_state(row: Retraining) -> str:
    """Return in words what a retraining does, and since when."""
    moment = row.started_at if row.state == RetrainingState.RUNNING else row.created_at
    since = f"{(moment or row.created_at).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if row.state == RetrainingState.QUEUED:
        return f"waits for a trainer worker since {since}"
    if row.state == RetrainingState.RUNNING:
        return f"runs since {since}"
    return f"has ended as {row.state}"
