"""Compute images with the same content once in a job: the first is labelled, its twins wait.

A twin is queued with the suspicion WAITING, which no claim takes. When the first ends, its twins
end with the same outcome in the same transaction.
"""

import uuid
from collections import Counter
from collections.abc import Collection

from sqlalchemy import text
from sqlalchemy.orm import Session

from facetag.db.tables import ImageState
from facetag.jobs.reuse.known_results import finish_with

WAITING = -1
AT_ONCE = 10_000
"""Twins that end with one image. Of more, the next one is labelled and ends as many again, so that
no transaction takes minutes."""

_ROW = "row_number() OVER (PARTITION BY content ORDER BY position)"
PLACE = f"CASE WHEN content IS NOT NULL AND {_ROW} > 1 THEN {WAITING} ELSE 0 END"
"""SQL of the suspicion of an image among those of a new job."""

HOLD = text(f"""
    UPDATE images SET suspicion = {WAITING}
    FROM (
        SELECT id, {_ROW} AS number FROM images
        WHERE job_id = :job AND state = 'queued' AND content IS NOT NULL
    ) AS placed
    WHERE images.id = placed.id AND placed.number > 1
""")  # noqa: S608 - built from constants

# Only a cancel holds a lock on a waiting twin, and ends it.
FIND = text(f"""
    SELECT twin.id, first.id AS first, first.state
    FROM images AS first
    JOIN images AS twin ON twin.tenant_id = first.tenant_id AND twin.content = first.content
        AND twin.labelling_key IS NULL
    WHERE first.id = ANY(:ids) AND first.state IN ('tagged', 'no_face', 'failed')
        AND twin.job_id = first.job_id AND twin.state = 'queued' AND twin.suspicion = {WAITING}
    LIMIT :most
    FOR UPDATE OF twin SKIP LOCKED
""")  # noqa: S608 - built from constants

FAIL = text("""
    UPDATE images SET state = 'failed', error_code = first.error_code,
        error_message = first.error_message, width = first.width, height = first.height,
        finished_at = clock_timestamp(), suspicion = 0
    FROM unnest(CAST(:ids AS bigint[]), CAST(:firsts AS bigint[])) AS wanted(id, first)
    JOIN images AS first ON first.id = wanted.first
    WHERE images.id = wanted.id
""")

PROMOTE = text(f"""
    UPDATE images SET suspicion = 0
    WHERE id IN (
        SELECT DISTINCT ON (content) id FROM images
        WHERE job_id = :job AND state = 'queued' AND suspicion = {WAITING}
            AND (CAST(:ids AS bigint[]) IS NULL
                 OR content IN (SELECT content FROM images WHERE id = ANY(:ids)))
        ORDER BY content, position
    )
""")  # noqa: S608 - built from constants


def hold_twins(session: Session, job_id: uuid.UUID) -> None:
    """Let the job's queued images wait for the first one with their content."""
    session.execute(HOLD, {"job": job_id})


def settle_twins(
    session: Session, job_id: uuid.UUID, image_ids: Collection[int], *, most: int = AT_ONCE
) -> Counter[ImageState]:
    """End the twins of images that have ended; return how many of them reached which state.

    The caller takes them from the job's queued images. The images are of this job.
    """
    found = session.execute(FIND, {"ids": list(image_ids), "most": most}).all()
    if not found:
        return Counter()
    ended = Counter(
        finish_with(
            session, {row.id: row.first for row in found if row.state != ImageState.FAILED}
        ).values()
    )
    failed = {row.id: row.first for row in found if row.state == ImageState.FAILED}
    if failed:
        session.execute(FAIL, {"ids": list(failed), "firsts": list(failed.values())})
        ended[ImageState.FAILED] = len(failed)
    if len(found) == most:
        session.execute(PROMOTE, {"job": job_id, "ids": list(image_ids)})
    return ended


def free_twins(session: Session, job_id: uuid.UUID) -> None:
    """Let the next twin of each content be labelled, where the image that it waited for is gone."""
    session.execute(PROMOTE, {"job": job_id, "ids": None})
