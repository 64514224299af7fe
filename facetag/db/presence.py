"""See from Postgres which workers and sweepers are at work.

Workers are seen by their connections, sweepers by the ends of their rounds: one that fails in every
round speaks to Postgres all the same, and one that cron starts is not connected in between.
"""

import socket

from sqlalchemy import text
from sqlalchemy.orm import Session

QUIET_S = 120.0
"""After this time without a statement, a worker counts as stuck, and without the end of a round a
sweeper. Workers ask for a new champion every few seconds, and a sweeper makes a round as often."""

SWEEPER = "sweeper"
SWEEPER_LOCK = 0x7377656570
"""Key of the advisory lock that only one sweeper holds at a time (the bytes of "sweep")."""

RECORD_ROUNDS = text("""
    INSERT INTO program_rounds (name, ended_at) SELECT unnest(CAST(:names AS text[])), now()
    ON CONFLICT (name) DO UPDATE SET ended_at = excluded.ended_at
""")
FORGET_HOSTS = text("""
    DELETE FROM program_rounds WHERE name LIKE :pattern AND ended_at < now() - interval '1 day'
""")
LAST_ROUND = text("""
    SELECT extract(epoch FROM now() - ended_at) FROM program_rounds WHERE name = :name
""")

LAST_WORD = text("""
    SELECT extract(epoch FROM min(clock_timestamp() - state_change)) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = :application
      AND (NOT :here OR client_addr IS NOT DISTINCT FROM inet_client_addr())
""")


def seconds_since_heard(session: Session, application: str, *, here: bool = False) -> float | None:
    """Return the seconds since a kind of process last spoke to Postgres; None if none is connected.

    `application` is the name of its connections. With `here`, only processes count that reach
    Postgres from this process's own address.
    """
    seconds = session.scalar(LAST_WORD, {"application": application, "here": here})
    return None if seconds is None else float(seconds)


def record_round(session: Session, *, stood_by: bool) -> None:
    """Write down that this machine's sweeper ended a round.

    One that `stood_by`, as another sweeper was at work, is alive but has swept nothing.
    """
    here = _here()
    session.execute(RECORD_ROUNDS, {"names": [here] if stood_by else [SWEEPER, here]})
    session.execute(FORGET_HOSTS, {"pattern": f"{SWEEPER}@%"})


def seconds_since_round(session: Session, *, here: bool = False) -> float | None:
    """Return the seconds since a sweeper swept; None if none ever did.

    With `here`, the sweeper of this machine or container counts, also if it stood by.
    """
    seconds = session.scalar(LAST_ROUND, {"name": _here() if here else SWEEPER})
    return None if seconds is None else float(seconds)


def _here() -> str:
    return f"{SWEEPER}@{socket.gethostname()}"
