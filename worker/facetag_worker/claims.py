"""Claim images, extend their leases, give them back and finish them, in SQL.

Locks are taken in the order of facetag.jobs: images by ascending id, then the job.
"""

import json
import uuid
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from facetag.db.storable_text import storable
from facetag.db.tables import FaceRow, ImageState
from facetag.jobs import close_job_if_done, move_counts
from facetag.jobs.aggregates import add_faces
from facetag.jobs.queries import CLAIMABLE, HAS_CLAIMABLE
from facetag.jobs.reuse.identical_images import settle_twins
from facetag.jobs.reuse.known_results import find_known, finish_with
from facetag.jobs.reuse.shared_contents import give_way
from facetag.labelling.outcomes import MAX_MESSAGE_CHARS, ImageToLabel, Outcome

ANY_PRIORITY = 1000
MAX_BACKOFF_S = 60.0


@dataclass(frozen=True, slots=True)
class Claim:
    """Hold images of one job that belong to the holder of the token until their lease ends."""

    token: uuid.UUID
    job_id: uuid.UUID
    tenant_id: str
    priority: int
    images: tuple[ImageToLabel, ...]
    contents: Mapping[int, bytes] = field(default_factory=dict)
    """Contents by image id, of images whose result may be known."""
    heads: tuple[str, ...] | None = None
    """The attributes that the job wants; None for all that the worker labels."""
    counts_only: bool = False
    """Whether the job keeps no result of an image."""

    @property
    def image_ids(self) -> list[int]:
        """The ids of the claimed images."""
        return [image.id for image in self.images]


# Jobs that no worker serves come first, then the job that was served the longest time ago. So jobs
# take turns, whatever the order of their messages. Where jobs were served within the same second,
# chance decides: the workers of a large fleet that choose together would all take the same job.
CHOOSE_JOB = text(f"""
    SELECT id FROM jobs
    WHERE finished_at IS NULL AND state IN ('queued', 'running') AND queued > 0
      AND priority > :above AND priority < :below AND {HAS_CLAIMABLE}
    ORDER BY priority DESC, running > 0, rung_at IS NOT NULL,
        least(coalesce(rung_at, created_at), now() - interval '1 second'), random()
    LIMIT 1
""")  # noqa: S608 - built from the constant above

WAITING = text(f"""
    SELECT priority FROM jobs
    WHERE id = :job_id AND finished_at IS NULL AND state IN ('queued', 'running')
      AND {HAS_CLAIMABLE}
""")  # noqa: S608 - built from the constant above

CLAIM = text(f"""
    WITH job AS (
        SELECT id, tenant_id, priority, reuse, heads, aggregate IS NOT NULL AS counts_only
        FROM jobs
        WHERE id = :job_id AND state IN ('queued', 'running')
    ), next AS (
        SELECT id FROM images
        WHERE job_id = (SELECT id FROM job) AND suspicion BETWEEN :least AND :most AND {CLAIMABLE}
        ORDER BY suspicion, position
        LIMIT :limit
        FOR UPDATE SKIP LOCKED
    )
    UPDATE images SET state = 'running', claim_token = :token, claimed_by = :worker,
        lease_until = now() + make_interval(secs => :lease_s), started_at = NULL, not_before = NULL
    FROM next, job WHERE images.id = next.id
    RETURNING images.id, position, bucket, key, name, suspicion, releases,
        job.tenant_id, job.priority, CASE WHEN job.reuse THEN content END AS content,
        job.heads, job.counts_only
""")  # noqa: S608 - built from the constant above

# Only running images have a token. If `state = 'running'` were asked for too, PostgreSQL would take
# the index of leases, and read all dead entries of a busy fleet: 80 ms a chunk.
#
# Rows that a finishing chunk or the sweeper has locked are skipped: a heartbeat waits for no lock,
# so it cannot take part in a deadlock.
EXTEND = text("""
    WITH mine AS (
        SELECT id FROM images WHERE id = ANY(:ids) AND claim_token = :token
        FOR UPDATE SKIP LOCKED
    )
    UPDATE images SET lease_until = now() + make_interval(secs => :lease_s)
    FROM mine WHERE images.id = mine.id
    RETURNING images.id
""")

CLAIMANTS = text("""
    SELECT DISTINCT claimed_by FROM images
    WHERE state = 'running' AND starts_with(claimed_by, :worker)
""")

EXPIRE = text("""
    WITH theirs AS (
        SELECT id FROM images WHERE state = 'running' AND claimed_by = ANY(:workers)
        FOR UPDATE SKIP LOCKED
    )
    UPDATE images SET lease_until = now() FROM theirs WHERE images.id = theirs.id
    RETURNING images.id
""")

LOCK_MINE = text("""
    SELECT id FROM images WHERE id = ANY(:ids) AND claim_token = :token
    ORDER BY id
    FOR UPDATE
""")

START = text("""
    UPDATE images SET started_at = now(), lease_until = now() + make_interval(secs => :lease_s)
    WHERE id = ANY(:ids)
""")

RELEASE = text("""
    UPDATE images SET state = 'queued', claim_token = NULL, claimed_by = NULL, lease_until = NULL,
        started_at = NULL, releases = least(releases + :counted, 1000),
        not_before = CASE WHEN :backoff_s > 0 THEN now() + make_interval(
            secs => least(:backoff_s * power(2, least(releases, 10)), :max_backoff_s)) END
    WHERE id = ANY(:ids)
""")

FINISH = text("""
    UPDATE images SET state = done.state, error_code = done.error_code,
        error_message = done.error_message, width = done.width, height = done.height,
        stage_ms = done.stage_ms, model_version = done.model_version,
        incomplete = done.incomplete, look = decode(done.look, 'hex'), finished_at = now(),
        claim_token = NULL, lease_until = NULL,
        labelling_key = CASE WHEN done.state <> 'failed' THEN CAST(:key AS bytea) END
    FROM jsonb_to_recordset(CAST(:outcomes AS jsonb)) AS done(
        id bigint, state text, error_code text, error_message text, width int, height int,
        stage_ms jsonb, model_version text, incomplete boolean, look text)
    WHERE images.id = done.id
""")


def choose_job(session: Session, *, above: int = -1, below: int = ANY_PRIORITY) -> uuid.UUID | None:
    """Return the job whose turn it is among those of a priority in between; None if none waits."""
    bounds = {"above": above, "below": below}
    job_id: uuid.UUID | None = session.execute(CHOOSE_JOB, bounds).scalar()
    return job_id


def waiting_priority(session: Session, job_id: uuid.UUID) -> int | None:
    """Return the priority of a job with claimable images; None if it has none now."""
    priority: int | None = session.execute(WAITING, {"job_id": job_id}).scalar()
    return priority


def claim_images(
    session: Session,
    *,
    job_id: uuid.UUID | None,
    limit: int,
    lease_s: float,
    worker: str,
    suspects: bool = True,
) -> Claim | None:
    """Claim the next images of a job; without `job_id`, of the job whose turn it is.

    Images that no worker died of come first, up to `limit` in order of position. Then, unless
    `suspects` is false, suspects come one at a time. Returns None if there is nothing to claim. The
    claim may be empty: images that another job's worker labels now wait for its result.
    """
    job_id = job_id or choose_job(session)
    if job_id is None:
        return None
    token = uuid.uuid4()
    claim = {"job_id": job_id, "token": token, "worker": worker, "lease_s": lease_s}
    rows = session.execute(CLAIM, {**claim, "least": 0, "most": 0, "limit": limit}).all()
    if not rows and suspects:
        rows = session.execute(CLAIM, {**claim, "least": 1, "most": 99, "limit": 1}).all()
    if not rows:
        return None
    first = rows[0]
    # Before the job's row is locked, for which `end_waiting` waits.
    waiting = give_way(session, [row.id for row in rows if row.content is not None])
    rows = [row for row in rows if row.id not in waiting]
    # `rung_at` is set too: a job that is being served needs no further doorbell.
    changes = {ImageState.QUEUED: -len(rows), ImageState.RUNNING: len(rows)}
    move_counts(session, job_id, changes, served=True, wait=False)
    images = sorted((ImageToLabel(*row[:8]) for row in rows), key=lambda image: image.position)
    contents = {row.id: bytes(row.content) for row in rows if row.content is not None}
    return Claim(
        token,
        job_id,
        first.tenant_id,
        first.priority,
        tuple(images),
        contents,
        heads=None if first.heads is None else tuple(first.heads),
        counts_only=first.counts_only,
    )


def finish_known(session: Session, claim: Claim, labelling_key: bytes) -> Claim:
    """Finish the claim's images whose result is known by now; return the claim of the others.

    Another job may have labelled them since this job was made. Call it in the transaction of the
    claim, which holds the images' locks.
    """
    known = find_known(
        session, set(claim.contents.values()), tenant_id=claim.tenant_id, key=labelling_key
    )
    states = finish_with(
        session,
        {id_: known[content] for id_, content in claim.contents.items() if content in known},
    )
    if not states:
        return claim
    settle_images(session, claim.job_id, states, reused=len(states))
    return replace(claim, images=tuple(one for one in claim.images if one.id not in states))


def extend_lease(session: Session, claim: Claim, lease_s: float) -> int:
    """Extend a claim's lease by `lease_s` from now; return the number of images extended."""
    values = {"ids": claim.image_ids, "token": claim.token, "lease_s": lease_s}
    return len(session.execute(EXTEND, values).all())


def claimants(session: Session, worker: str) -> list[str]:
    """Return the names of workers that hold images now and whose name begins with `worker`."""
    return list(session.execute(CLAIMANTS, {"worker": worker}).scalars())


def expire_leases(session: Session, workers: Collection[str]) -> int:
    """End the leases of dead workers now; return the number of images they held.

    The sweeper then handles these images as those of any expired lease.
    """
    if not workers:
        return 0
    return len(session.execute(EXPIRE, {"workers": list(workers)}).all())


def mark_started(session: Session, claim: Claim, lease_s: float) -> set[int]:
    """Record that work on the claim's images begins; return the ids still held by this claim.

    From now on, if the worker dies, these images become suspects.
    """
    mine = _lock_mine(session, claim, claim.image_ids)
    session.execute(START, {"ids": list(mine), "lease_s": lease_s})
    return mine


def release(
    session: Session, claim: Claim, image_ids: Collection[int], backoff_s: float = 0.0
) -> int:
    """Give unfinished images back without suspicion; return how many this claim still held.

    With a `backoff_s` they wait that long, doubled for each earlier release, up to a minute. Images
    of a job that was cancelled in the meantime are cancelled.
    """
    mine = _lock_mine(session, claim, image_ids)
    session.execute(
        RELEASE,
        {
            "ids": list(mine),
            "backoff_s": backoff_s,
            "max_backoff_s": MAX_BACKOFF_S,
            "counted": int(backoff_s > 0),
        },
    )
    settle_images(session, claim.job_id, dict.fromkeys(mine, ImageState.QUEUED))
    return len(mine)


def finish_chunk(
    session: Session,
    claim: Claim,
    outcomes: Sequence[Outcome],
    *,
    labelling_key: bytes | None = None,
) -> set[int]:
    """Record states, faces, provenance and the job's counts once, in this transaction.

    Only images that this claim still holds are changed; their ids are returned. Their twins end
    with them. Results are reused later under `labelling_key`, if it is given. Closes the job if
    these were its last images.
    """
    mine = _lock_mine(session, claim, [outcome.image_id for outcome in outcomes])
    done = [outcome for outcome in outcomes if outcome.image_id in mine]
    if claim.counts_only:
        add_faces(session, claim.job_id, [face for outcome in done for face in outcome.faces])
        done = [Outcome(outcome.image_id, outcome.state, outcome.error) for outcome in done]
        labelling_key = None
    rows = json.dumps([_row_of(outcome) for outcome in done])
    session.execute(FINISH, {"outcomes": rows, "key": labelling_key})
    faces = [face for outcome in done for face in _face_rows(claim.tenant_id, outcome)]
    if faces:
        session.execute(insert(FaceRow), faces)
    settle_images(session, claim.job_id, {outcome.image_id: outcome.state for outcome in done})
    return mine


def settle_images(
    session: Session, job_id: uuid.UUID, states: Mapping[int, ImageState], *, reused: int = 0
) -> None:
    """Update the job for images, by id, that left `running` for `states`; close it if done.

    The twins of those that ended end too. `reused` of the images got the result of another one. If
    another transaction holds the job's row, the change is left to the next one: see
    `facetag.jobs.counts.apply_left_counts`.
    """
    if not states:
        return
    twins = settle_twins(session, job_id, states)
    changes = Counter(states.values()) + twins
    changes[ImageState.RUNNING] -= len(states)
    changes[ImageState.QUEUED] -= twins.total()
    reused += twins.total() - twins[ImageState.FAILED]
    if move_counts(session, job_id, changes, reused=reused, wait=False):
        close_job_if_done(session, job_id)


def _lock_mine(session: Session, claim: Claim, image_ids: Collection[int]) -> set[int]:
    values = {"ids": list(image_ids), "token": claim.token}
    return set(session.execute(LOCK_MINE, values).scalars().all())


def _row_of(outcome: Outcome) -> dict[str, Any]:
    code, message = outcome.error or (None, None)
    return {
        "id": outcome.image_id,
        "state": outcome.state.value,
        "error_code": code,
        "error_message": None if message is None else storable(message, MAX_MESSAGE_CHARS),
        "width": outcome.width,
        "height": outcome.height,
        "stage_ms": {stage: round(ms, 2) for stage, ms in outcome.stage_ms.items()},
        "model_version": outcome.model_version,
        "incomplete": outcome.incomplete,
        "look": None if outcome.look is None else outcome.look.hex(),
    }


def _face_rows(tenant_id: str, outcome: Outcome) -> list[dict[str, Any]]:
    return [
        {
            "tenant_id": tenant_id,
            "image_id": outcome.image_id,
            "position": position,
            "x": face.box[0],
            "y": face.box[1],
            "width": face.box[2],
            "height": face.box[3],
            "confidence": face.confidence,
            "attributes": dict(face.attributes),
        }
        for position, face in enumerate(outcome.faces)
    ]
