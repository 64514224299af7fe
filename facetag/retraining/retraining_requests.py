"""Request retrainings of trainer workers, one at a time; find, describe and cancel them.

Every function takes a Session inside a transaction and leaves the commit to its caller.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from sqlalchemy import Select, String, cast, func, select
from sqlalchemy.orm import Session

from facetag.db.tables import Retraining, RetrainingState
from facetag.errors import RetrainingBusy, RetrainingEnded, RetrainingUnknown
from facetag.retraining.log_lines import append_lines
from facetag.retraining.retraining_lock import try_lock

Source = Mapping[str, str]
"""A shard for a trainer worker to fetch: `{"url"}`, or `{"name", "sha256"}` if it is stored."""


def ask_retraining(
    session: Session,
    shards: Mapping[str, Sequence[Source]],
    options: Mapping[str, Any],
    *,
    tenant_id: str,
) -> Retraining:
    """Record a retraining for a trainer worker; `shards` are lists `new`, `earlier` and `tests`.

    Raises RetrainingBusy while another retraining waits or runs, queued or not.
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
    """Prevent other retrainings until the transaction ends; raises RetrainingBusy."""
    free = try_lock(session, tenant_id=tenant_id)
    # First, since the error then names the other retraining.
    refuse_open(session, tenant_id=tenant_id)
    if not free:
        raise RetrainingBusy


def refuse_open(session: Session, *, tenant_id: str, but: uuid.UUID | None = None) -> None:
    """Raise RetrainingBusy if a queued retraining other than `but` waits or runs."""
    row = find_open(session, tenant_id=tenant_id)
    if row is not None and row.id != but:
        raise RetrainingBusy(
            f"Retraining {name_retraining(row)} {tell_state(row)}: wait until it has ended "
            "(`facetag retrainings list`), or cancel it with `facetag retrainings cancel`."
        )


def find_open(session: Session, *, tenant_id: str) -> Retraining | None:
    """Return the queued retraining that waits or runs, or None."""
    ours = select(Retraining).where(
        Retraining.tenant_id == tenant_id, Retraining.finished_at.is_(None)
    )
    return session.scalars(ours).one_or_none()


def list_retrainings(session: Session, *, tenant_id: str) -> list[Retraining]:
    """Return all retrainings of the queue, newest first."""
    return list(session.scalars(_newest_first(tenant_id)))


def find_retraining(session: Session, which: str | None, *, tenant_id: str) -> Retraining:
    """Return a retraining by the beginning of its id, or the newest if `which` is None.

    Raises RetrainingUnknown.
    """
    query = _newest_first(tenant_id)
    if which is None:
        newest = session.scalars(query.limit(1)).one_or_none()
        if newest is None:
            raise RetrainingUnknown("No retraining has been queued yet.")
        return newest
    begins = cast(Retraining.id, String).startswith(which.lower(), autoescape=True)
    found = session.scalars(query.where(begins).limit(2)).all()
    if len(found) != 1:
        kind = "Several retrainings begin" if found else "No retraining begins"
        raise RetrainingUnknown(f"{kind} with {which}: see `facetag retrainings list`.")
    return found[0]


def cancel_retraining(session: Session, which: str | None, *, tenant_id: str) -> Retraining:
    """Cancel a retraining; its worker notices within seconds, and no bundle is recorded.

    Raises RetrainingUnknown, and RetrainingEnded if it has ended already.
    """
    row = find_retraining(session, which, tenant_id=tenant_id)
    session.refresh(row, with_for_update=True)
    if row.finished_at is not None:
        raise RetrainingEnded(f"Retraining {name_retraining(row)} {tell_state(row)}.")
    row.state = RetrainingState.CANCELLED.value
    row.claim_token = row.lease_until = None
    # The database's clock gives all times of a row.
    row.finished_at = session.scalar(select(func.now()))
    append_lines(session, row.id, ["cancelled"], tenant_id=tenant_id)
    return row


def name_retraining(row: Retraining) -> str:
    """Return the first characters of the id, enough to name a retraining."""
    return str(row.id)[:8]


def tell_state(row: Retraining) -> str:
    """Return the state of a retraining in words, and since when."""
    moment = row.started_at if row.state == RetrainingState.RUNNING else row.created_at
    since = f"{(moment or row.created_at).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if row.state == RetrainingState.QUEUED:
        return f"has waited for a trainer worker since {since}"
    if row.state == RetrainingState.RUNNING:
        return f"has been running since {since}"
    return f"has ended: {row.state}"


def _newest_first(tenant_id: str) -> Select[Retraining]:
    return (
        select(Retraining)
        .where(Retraining.tenant_id == tenant_id)
        .order_by(Retraining.created_at.desc(), Retraining.id)
    )
