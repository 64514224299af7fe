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
MARK = text("""
    UPDATE images SET duplicate_of = marked.first
    FROM unnest(CAST(:positions AS int[]), CAST(:firsts AS int[])) AS marked(position, first)
    WHERE job_id = :job AND images.position = marked.position
""")


def mark_duplicates(session: Session, job_id: uuid.UUID) -> None:
    """Record for each labelled image the position of the one that it repeats, or null.

    The caller holds the job's row and knows that no image is open: nobody else changes the rows.
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
