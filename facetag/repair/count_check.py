"""Count the images of jobs again whose counts disagree with their rows."""

import uuid
from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from facetag.db.engine import allow_long_statements, transaction
from facetag.db.tables import ImageState

STATES = [state.value for state in ImageState]

# Whoever changes rows changes the counts, or leaves a change, in the same transaction: in one
# snapshot they agree. An ended job that keeps counts only has no rows any
# more, and a deleted one loses them.
_COUNTED = f"""
    counted AS (
        SELECT job_id, count(*) AS total,
            {", ".join(f"count(*) FILTER (WHERE state = '{name}') AS {name}" for name in STATES)}
        FROM images WHERE CAST(:job AS uuid) IS NULL OR job_id = CAST(:job AS uuid) GROUP BY job_id
    ), left_over AS (
        SELECT job_id, {", ".join(f"sum({name}) AS {name}" for name in STATES)}
        FROM count_changes GROUP BY job_id
    ), true_counts AS (
        SELECT jobs.id, coalesce(counted.total, 0) AS total,
            coalesce(counted.queued + counted.running, 0) > 0 AS open,
            {
    ", ".join(
        f"coalesce(counted.{name}, 0) - coalesce(left_over.{name}, 0) AS {name}" for name in STATES
    )
}
        FROM jobs
        LEFT JOIN counted ON counted.job_id = jobs.id
        LEFT JOIN left_over ON left_over.job_id = jobs.id
        WHERE (jobs.finished_at IS NULL OR jobs.aggregate IS NULL) AND jobs.deleted_at IS NULL
    )
"""  # noqa: S608 - built from constants
FIND = text(f"""
    WITH {_COUNTED}
    SELECT jobs.id FROM jobs JOIN true_counts USING (id)
    WHERE {" OR ".join(f"jobs.{name} <> true_counts.{name}" for name in STATES)}
        OR jobs.total <> true_counts.total OR jobs.finished_at IS NOT NULL AND true_counts.open
    ORDER BY jobs.id
""")  # noqa: S608 - built from constants
HOLD = text("SELECT id FROM jobs WHERE id = :job FOR NO KEY UPDATE")
CORRECT = text(f"""
    WITH {_COUNTED}
    UPDATE jobs SET {", ".join(f"{name} = true_counts.{name}" for name in STATES)},
        total = CASE WHEN jobs.total IS NOT NULL THEN true_counts.total END,
        state = CASE WHEN open AND finished_at IS NOT NULL AND state <> 'cancelled'
            THEN 'running' ELSE state END,
        finished_at = CASE WHEN NOT open THEN finished_at END
    FROM true_counts WHERE jobs.id = :job AND true_counts.id = :job
""")  # noqa: S608 - built from constants


def find_miscounted(sessions: sessionmaker[Session]) -> Sequence[uuid.UUID]:
    """Return the jobs whose counts disagree with their rows; raises DatabaseUnavailable."""
    with transaction(sessions) as session:
        allow_long_statements(session)
        return session.execute(FIND, {"job": None}).scalars().all()


def count_again(sessions: sessionmaker[Session], job_id: uuid.UUID) -> None:
    """Write a job's true counts; an ended job with open images runs again.

    The sweeper closes a job that turns out to be done. Raises DatabaseUnavailable.
    """
    with transaction(sessions) as session:
        allow_long_statements(session)
        # A statement of its own: the next one sees what was committed before the lock was got.
        session.execute(HOLD, {"job": job_id})
        session.execute(CORRECT, {"job": job_id})
