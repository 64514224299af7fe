"""Mark the photos of a finished job that repeat an earlier one of the job."""

import uuid

from sqlalchemy import text
from sqlalchemy.orm import Session

from facetag.results.duplicates import Duplicates

BATCH = 10_000

READ = text("""
    SELECT position, content, look, duplicate_of FROM images
    WHERE job_id = :job AND state IN ('tagged', 'no_face')
    ORDER BY position
""")
# Only a purge holds such rows, and waits for the job's row. It deletes them, and marks again.
MARK = text("""
    UPDATE images SET duplicate_of = held.first
    FROM (
        SELECT images.id, marked.first
        FROM unnest(CAST(:positions AS int[]), CAST(:firsts AS int[])) AS marked(position, first)
        JOIN images ON job_id = :job AND images.position = marked.position
        FOR NO KEY UPDATE OF images SKIP LOCKED
    ) AS held
    WHERE images.id = held.id
""")


def mark_duplicates(session: Session, job_id: uuid.UUID) -> None:
    """Record for each labelled image the position of the one that it repeats, or null.

    The caller holds the job's row and knows that no image is open: nobody else changes the rows,
    but a purge may delete some.
    """
    duplicates = Duplicates()
    changed: dict[int, int | None] = {}
    rows = session.execute(READ, {"job": job_id}, execution_options={"yield_per": BATCH})
    for row in rows:
        position, content, look, marked = row
        first = duplicates.place(position, content, look)
        if first != marked:
            changed[position] = first
    if changed:
        values = {"positions": list(changed), "firsts": list(changed.values())}
        session.execute(MARK, {"job": job_id, **values})
