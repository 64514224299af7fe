"""Keep the log of a queued retraining in Postgres, where every machine can read it."""

import uuid
from collections.abc import Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from facetag.db.storable_text import storable
from facetag.db.tables import RetrainingLine

MOST_LINES = 1000
"""Most lines kept per retraining; the oldest are deleted."""
MAX_LINE_CHARS = 2000


def append_lines(
    session: Session, retraining_id: uuid.UUID, lines: Sequence[str], *, tenant_id: str
) -> None:
    """Append lines to a retraining's log."""
    if not lines:
        return
    session.execute(
        insert(RetrainingLine),
        [
            {
                "tenant_id": tenant_id,
                "retraining_id": retraining_id,
                "text": storable(line, MAX_LINE_CHARS),
            }
            for line in lines
        ],
    )
    ours = RetrainingLine.retraining_id == retraining_id
    newest = select(RetrainingLine.id).where(ours).order_by(RetrainingLine.id.desc())
    last_to_go = newest.offset(MOST_LINES).limit(1).scalar_subquery()
    session.execute(
        delete(RetrainingLine).where(ours, RetrainingLine.id <= last_to_go),
        execution_options={"synchronize_session": False},
    )


def read_lines(
    session: Session, retraining_id: uuid.UUID, *, after: int = 0
) -> list[RetrainingLine]:
    """Return the lines of a retraining, in order, after the line with the id `after`."""
    query = (
        select(RetrainingLine)
        .where(RetrainingLine.retraining_id == retraining_id, RetrainingLine.id > after)
        .order_by(RetrainingLine.id)
    )
    return list(session.scalars(query))
