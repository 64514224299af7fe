"""Write tables anew after deletions, since Postgres leaves the bytes of deleted rows in files."""

import time
from datetime import timedelta

import structlog
from psycopg.errors import InsufficientPrivilege, LockNotAvailable
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from facetag.db.engine import transaction, translate_errors
from facetag.errors import DatabaseUnavailable

TABLES = ("jobs", "images", "faces", "reviews", "count_changes", "tombstones")
STATISTICS = "pg_catalog.pg_statistic"
"""The planner's samples hold names and keys, too; only the database's owner may write it anew."""
REST = timedelta(hours=1)
"""The least time between two turns: each locks the tables, one by one."""
LOCK_TIMEOUT_S = 2
MAX_BYTES = 2**30
"""Tables that hold more are left alone: they would be locked for minutes, and copied."""

IS_DUE = text("""
    SELECT EXISTS (
            SELECT FROM audit_lines
            WHERE action IN ('job deleted', 'photos purged', 'photos forgotten')
              AND created_at > coalesce(rewritten.at, '-infinity'))
        AND coalesce(rewritten.at, '-infinity') < now() - make_interval(secs => :rest_s)
        AND NOT EXISTS (SELECT FROM jobs WHERE finished_at IS NULL OR deleted_at IS NOT NULL)
        AND NOT EXISTS (SELECT FROM tombstones)
        AND pg_total_relation_size('images') + pg_total_relation_size('faces') < :max_bytes
    FROM (SELECT max(ended_at) AS at FROM program_rounds WHERE name = 'rewriting') AS rewritten
""")
"""Tables are written anew only while no job is open, as jobs would wait for the locks."""

IS_READ = text("""
    SELECT EXISTS (
        SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND backend_xmin IS NOT NULL AND pid <> pg_backend_pid())
""")
"""Rows that an open transaction may still see would be copied."""

RECORD = text("""
    INSERT INTO program_rounds (name, ended_at) VALUES ('rewriting', :began)
    ON CONFLICT (name) DO UPDATE SET ended_at = excluded.ended_at
""")

log = structlog.get_logger(__name__)


class TableRewriting:
    """Write tables anew when it is due, and rest after a failure, such as for want of space."""

    def __init__(self) -> None:
        self._rests_until_s = 0.0

    def step(self, sessions: sessionmaker[Session]) -> bool:
        """Return whether the tables were written anew."""
        if time.monotonic() < self._rests_until_s:
            return False
        try:
            return rewrite_if_due(sessions)
        except DatabaseUnavailable as error:
            log.warning("rewriting_put_off", reason=str(error))
            self._rests_until_s = time.monotonic() + REST.total_seconds()
            return False


def rewrite_if_due(sessions: sessionmaker[Session]) -> bool:
    """Write the tables anew if rows were deleted since the last time; return whether it was done.

    Not sooner than REST after the last time, nor while a job is open or an object is still to be
    deleted, and not if they hold MAX_BYTES. Raises DatabaseUnavailable.
    """
    with transaction(sessions) as session:
        if not session.scalar(IS_DUE, {"rest_s": REST.total_seconds(), "max_bytes": MAX_BYTES}):
            return False
        began = session.scalar(text("SELECT now()"))
    if not rewrite_tables(sessions.kw["bind"]):
        return False
    with transaction(sessions) as session:
        session.execute(RECORD, {"began": began})
    log.info("tables_rewritten")
    return True


def rewrite_tables(engine: Engine) -> bool:
    """Write the tables anew, then end the write-ahead log so far; return False if others read.

    The log's files go with the checkpoint where Postgres does not reuse them (`wal_recycle`), and
    where our role may ask for one: both is so on the server of `facetag up`.
    """
    with (
        translate_errors(),
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
    ):
        try:
            return _rewrite(connection)
        except DBAPIError as error:
            if isinstance(error.orig, LockNotAvailable):
                return False
            raise
        finally:
            # Its limits must not come back to the pool.
            connection.invalidate()


def _rewrite(connection: Connection) -> bool:
    connection.execute(text("SET statement_timeout = 0"))
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'"))
    for table in TABLES:
        if connection.scalar(IS_READ):
            return False
        connection.execute(text(f"VACUUM (FULL, ANALYZE) {table}"))
    connection.execute(text(f"VACUUM FULL {STATISTICS}"))
    for step in ("SELECT pg_switch_wal()", "CHECKPOINT"):
        try:
            connection.execute(text(step))
        except DBAPIError as error:
            if not isinstance(error.orig, InsufficientPrivilege):
                raise
    return True
