"""Compute a content once where several jobs of a tenant ask for it at the same time.

A claim gives way to another job's worker that labels the same content now. Whoever has recorded a
result ends the images of other jobs that wait for it. Both first lock the contents that other jobs
want too, so neither misses what the other does.
"""

import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from facetag.db.tables import ImageState
from facetag.jobs.counts import close_job_if_done, move_counts
from facetag.jobs.reuse.identical_images import AT_ONCE, settle_twins
from facetag.jobs.reuse.known_results import finish_with

GIVEN_WAY_S = 5.0
"""How long an image waits for another job's result before it is claimed again: that job's worker
may have died, or have found that the file cannot be read."""
_CONTENT_LOCK = 0x66616365
"""First key of the advisory locks of contents (the bytes of "face")."""
_KEY_BYTES = 4

_OTHERS = """
    other.tenant_id = mine.tenant_id AND other.content = mine.content
        AND other.labelling_key IS NULL AND other.job_id <> mine.job_id
"""

# LIMIT 1 reads one entry of the index by content, as most contents have none.
WANTED = text(f"""
    SELECT DISTINCT mine.content
    FROM images AS mine CROSS JOIN LATERAL (
        SELECT FROM images AS other WHERE {_OTHERS} AND other.state IN ('queued', 'running')
        LIMIT 1
    ) AS found
    WHERE mine.id = ANY(:ids) AND mine.content IS NOT NULL
""")  # noqa: S608 - built from constants

LOCK = text("""
    SELECT pg_advisory_xact_lock(:class, number) FROM unnest(CAST(:numbers AS int[])) AS number
""")

# Only running images have a token. With `state = 'running'`, PostgreSQL may take the index of
# leases, and read for each image all that a busy fleet holds.
LABELLED_NOW = text(f"""
    SELECT mine.id
    FROM images AS mine CROSS JOIN LATERAL (
        SELECT FROM images AS other JOIN jobs ON jobs.id = other.job_id
        WHERE {_OTHERS} AND other.claim_token IS NOT NULL AND other.lease_until > now()
            AND jobs.heads IS NOT DISTINCT FROM
                (SELECT heads FROM jobs WHERE jobs.id = mine.job_id)
        LIMIT 1
    ) AS found
    WHERE mine.id = ANY(:ids)
""")  # noqa: S608 - built from constants

WAIT = text("""
    UPDATE images SET state = 'queued', claim_token = NULL, claimed_by = NULL, lease_until = NULL,
        not_before = now() + make_interval(secs => :wait_s)
    WHERE id = ANY(:ids)
""")

WAITING = text(f"""
    SELECT other.id, other.job_id, mine.id AS first
    FROM images AS mine
    JOIN images AS other ON {_OTHERS}
    JOIN jobs ON jobs.id = other.job_id
    WHERE mine.id = ANY(:ids) AND mine.state IN ('tagged', 'no_face')
        AND other.state = 'queued' AND other.suspicion >= 0
        AND jobs.reuse AND jobs.state IN ('queued', 'running')
        AND jobs.heads IS NOT DISTINCT FROM (SELECT heads FROM jobs WHERE jobs.id = mine.job_id)
    LIMIT :most
    FOR UPDATE OF other SKIP LOCKED
""")  # noqa: S608 - built from constants


def give_way(session: Session, image_ids: Sequence[int]) -> set[int]:
    """Queue claimed images again whose content another job's worker labels now; return their ids.

    Call it in the transaction of the claim, before the job's row is locked and its counts change.
    """
    if not image_ids or not _lock_wanted(session, image_ids):
        return set()
    labelled = set(session.execute(LABELLED_NOW, {"ids": list(image_ids)}).scalars())
    if labelled:
        session.execute(WAIT, {"ids": list(labelled), "wait_s": GIVEN_WAY_S})
    return labelled


def end_waiting(session: Session, image_ids: Collection[int]) -> None:
    """End the images of other jobs that want the results that these images have now.

    Call it in a transaction of its own, once the results are recorded: it waits for the other jobs'
    rows, whose counts it changes, by ascending id. Jobs that are done are closed.
    """
    if not _lock_wanted(session, image_ids):
        return
    sources: dict[uuid.UUID, dict[int, int]] = defaultdict(dict)
    for row in session.execute(WAITING, {"ids": list(image_ids), "most": AT_ONCE}):
        sources[row.job_id][row.id] = row.first
    for job_id in sorted(sources):
        states = finish_with(session, sources[job_id])
        ended = settle_twins(session, job_id, states)
        ended.update(states.values())
        changes = {ImageState.QUEUED: -ended.total(), **ended}
        if move_counts(session, job_id, changes, reused=ended.total()):
            close_job_if_done(session, job_id)


def _lock_wanted(session: Session, image_ids: Collection[int]) -> bool:
    """Lock those contents of images that open images of other jobs have too; return whether any.

    They are locked in one order. Whoever holds them waits for nothing but rows of jobs.
    """
    wanted = session.execute(WANTED, {"ids": list(image_ids)}).scalars().all()
    numbers = {int.from_bytes(content[:_KEY_BYTES], signed=True) for content in wanted}
    if numbers:
        session.execute(LOCK, {"class": _CONTENT_LOCK, "numbers": sorted(numbers)})
    return bool(numbers)
