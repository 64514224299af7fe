"""See from Postgres which workers and sweepers are at work, by their connections."""

from sqlalchemy import text
from sqlalchemy.orm import Session

QUIET_S = 120.0
"""After this time without a statement, a worker or sweeper counts as stuck. Workers ask for a new
champion every few seconds, and a sweeper makes a round as often."""

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
