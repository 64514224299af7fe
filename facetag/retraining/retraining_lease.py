"""Claim a retraining for one trainer worker, keep the lease by heartbeats, and end it once.

Every function takes a Session inside a transaction and leaves the commit to its caller.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from facetag.db.tables import RetrainingState
from facetag.errors import LeaseLost
from facetag.retraining.log_lines import append_lines

DEATHS = 3
"""Deaths of trainer workers in a row at the same place after which a retraining fails."""

CLAIM = text("""
    WITH next AS (
        SELECT id FROM retrainings
        WHERE tenant_id = :tenant_id AND state = 'queued'
          AND (not_before IS NULL OR not_before <= now())
        FOR UPDATE SKIP LOCKED
    )
    UPDATE retrainings SET state = 'running', claim_token = :token, claimed_by = :worker,
        lease_until = now() + make_interval(secs => :lease_s), heartbeat_at = now(),
        started_at = coalesce(started_at, now()), not_before = NULL
    FROM next WHERE retrainings.id = next.id
    RETURNING retrainings.id, shards, options
""")

EXTEND = text("""
    UPDATE retrainings SET lease_until = now() + make_interval(secs => :lease_s),
        heartbeat_at = now(), stage = coalesce(:stage, stage), epoch = coalesce(:epoch, epoch),
        step = coalesce(:step, step), steps = coalesce(:steps, steps)
    WHERE id = :id AND claim_token = :token AND state = 'running'
    RETURNING id
""")

RELEASE = text("""
    UPDATE retrainings SET state = 'queued', claim_token = NULL, claimed_by = NULL,
        lease_until = NULL,
        not_before = CASE WHEN :wait_s > 0 THEN now() + make_interval(secs => :wait_s) END
    WHERE id = :id AND claim_token = :token AND state = 'running'
    RETURNING id
""")

END = text("""
    UPDATE retrainings SET state = :state, version = :version,
        verdict = CAST(:verdict AS jsonb), error = :error, finished_at = now(),
        claim_token = NULL, lease_until = NULL
    WHERE id = :id AND claim_token = :token AND state = 'running'
    RETURNING id
""")

# A death after more steps than the last one counts as the first: progress is not given up.
RETURN_EXPIRED = text("""
    WITH expired AS (
        SELECT id, claimed_by AS worker,
            CASE WHEN step > died_at_step THEN 1 ELSE deaths + 1 END AS deaths_now
        FROM retrainings WHERE state = 'running' AND lease_until < now()
        FOR UPDATE SKIP LOCKED
    )
    UPDATE retrainings SET deaths = deaths_now, died_at_step = greatest(died_at_step, step),
        state = CASE WHEN deaths_now >= :deaths THEN 'failed' ELSE 'queued' END,
        error = CASE WHEN deaths_now >= :deaths THEN :message END,
        finished_at = CASE WHEN deaths_now >= :deaths THEN now() END,
        claim_token = NULL, claimed_by = NULL, lease_until = NULL
    FROM expired WHERE retrainings.id = expired.id
    RETURNING retrainings.id, tenant_id, state, expired.worker
""")

END_LEASES = text("UPDATE retrainings SET lease_until = now() WHERE state = 'running' RETURNING id")

FIND_UNHEARD = text("""
    UPDATE retrainings SET rung_at = now()
    WHERE id IN (
        SELECT id FROM retrainings
        WHERE state = 'queued' AND (not_before IS NULL OR not_before <= now())
          AND coalesce(rung_at, created_at) < now() - make_interval(secs => :quiet_s)
        FOR UPDATE SKIP LOCKED
    )
    RETURNING id
""")


@dataclass(frozen=True, slots=True)
class RetrainingClaim:
    """A retraining that belongs to the holder of the token until the lease runs out."""

    token: uuid.UUID
    id: uuid.UUID
    tenant_id: str
    shards: Mapping[str, Any]
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """The progress of a retraining; None keeps the earlier value."""

    stage: str | None = None
    epoch: int | None = None
    """The present epoch, from 1."""
    step: int | None = None
    """Finished steps, over all epochs."""
    steps: int | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """The outcome of a retraining: a bundle with its verdict, or an error."""

    state: RetrainingState
    version: str | None = None
    verdict: Mapping[str, Any] | None = None
    error: str | None = None


def claim_retraining(
    session: Session, *, tenant_id: str, worker: str, lease_s: float
) -> RetrainingClaim | None:
    """Claim the waiting retraining; None if none waits."""
    token = uuid.uuid4()
    values = {"tenant_id": tenant_id, "token": token, "worker": worker, "lease_s": lease_s}
    row = session.execute(CLAIM, values).one_or_none()
    if row is None:
        return None
    append_lines(session, row.id, [f"taken up by {worker}"], tenant_id=tenant_id)
    return RetrainingClaim(token, row.id, tenant_id, row.shards, row.options)


def keep_claim(session: Session, claim: RetrainingClaim, place: Place, *, lease_s: float) -> bool:
    """Extend a claim by `lease_s` and record its progress; False if the claim is lost."""
    values = {
        "stage": place.stage,
        "epoch": place.epoch,
        "step": place.step,
        "steps": place.steps,
        "lease_s": lease_s,
    }
    return bool(session.execute(EXTEND, values | _mine(claim)).all())


def release_retraining(session: Session, claim: RetrainingClaim, *, wait_s: float = 0.0) -> bool:
    """Queue a claimed retraining again in `wait_s` seconds; False if the claim is lost."""
    return bool(session.execute(RELEASE, {"wait_s": wait_s} | _mine(claim)).all())


def end_retraining(session: Session, claim: RetrainingClaim, ending: Ending) -> None:
    """Record the outcome of a retraining.

    Raises LeaseLost if another worker has claimed it or it was cancelled. The caller's transaction
    then rolls back, and no bundle of it becomes visible.
    """
    values = {
        "state": ending.state.value,
        "version": ending.version,
        "verdict": None if ending.verdict is None else json.dumps(ending.verdict),
        "error": ending.error,
    }
    if not session.execute(END, values | _mine(claim)).all():
        raise LeaseLost(f"Retraining {claim.id} was cancelled, or another worker has claimed it.")
    append_lines(session, claim.id, [ending.error or ending.state], tenant_id=claim.tenant_id)


def return_expired_retrainings(session: Session) -> int:
    """Queue retrainings again whose lease ran out; return how many were found.

    After DEATHS deaths in a row without progress, a retraining fails.
    """
    message = (
        f"{DEATHS} trainer workers in a row died or hung at the same step: look at their logs, "
        "give them more memory or give a smaller --batch-size, and queue the retraining again."
    )
    rows = session.execute(RETURN_EXPIRED, {"deaths": DEATHS, "message": message}).all()
    for row in rows:
        lines = [f"the trainer worker {row.worker} died or went silent"]
        if row.state == RetrainingState.FAILED:
            lines.append(message)
        append_lines(session, row.id, lines, tenant_id=row.tenant_id)
    return len(rows)


def end_retraining_leases(session: Session) -> int:
    """End the leases of all trainer workers, as they died with their database; return how many.

    The sweeper then handles these retrainings as those of any expired lease.
    """
    return len(session.execute(END_LEASES).all())


def find_unheard_retrainings(session: Session, *, quiet_s: float) -> list[uuid.UUID]:
    """Return waiting retrainings without a message for `quiet_s`, and mark them as rung."""
    return list(session.scalars(FIND_UNHEARD, {"quiet_s": quiet_s}))


def _mine(claim: RetrainingClaim) -> dict[str, Any]:
    return {"id": claim.id, "token": claim.token}
