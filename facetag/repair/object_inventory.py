"""Compare all objects of our bucket with the rows that name them, inside PostgreSQL."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from facetag.db.engine import allow_long_statements, transaction
from facetag.storage.client import ListedObject, Storage

ALL_TENANTS = "tenants/"

TABLE = "CREATE TEMPORARY TABLE stored (key text, modified timestamptz) ON COMMIT DROP"

LACKING = """
    images.bucket = :bucket AND images.state = ANY(:states)
    AND NOT EXISTS (SELECT FROM stored WHERE stored.key = images.key)
"""
WAITING_WITHOUT = text(
    f"SELECT job_id, id, key FROM images WHERE {LACKING} ORDER BY job_id, id"  # noqa: S608
)
LABELLED_WITHOUT = text(f"SELECT count(*) FROM images WHERE {LACKING}")  # noqa: S608

# A photo's thumbnail is named by `storage.object_keys.thumbnail_key`.
UNNAMED = text("""
    WITH photos AS (
        SELECT DISTINCT tenant_id, bucket, key FROM images
    ), digests AS (
        SELECT tenant_id, encode(sha256(convert_to(bucket || '/' || key, 'UTF8')), 'hex') AS digest
        FROM photos
    ), named AS (
        SELECT key FROM photos WHERE bucket = :bucket
        UNION ALL
        SELECT 'tenants/' || tenant_id || '/thumbnails/' || left(digest, 2) || '/' || digest
            || '.webp' FROM digests
        UNION ALL
        SELECT key FROM tombstones
        UNION ALL
        SELECT key FROM upload_promises
    )
    SELECT key, split_part(key, '/', 3) <> 'thumbnails' AND modified >= :before AS young
    FROM stored
    WHERE split_part(key, '/', 3) IN ('images', 'predict', 'thumbnails')
        AND NOT EXISTS (SELECT FROM named WHERE named.key = stored.key)
    ORDER BY key
""")


@dataclass(frozen=True, slots=True)
class Lack:
    """An image that waits, whose photo our bucket lacks."""

    job_id: uuid.UUID
    image_id: int
    key: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """What rows and objects say against one another."""

    waiting: tuple[Lack, ...]
    labelled: int
    """Labelled images whose photo our bucket lacks."""
    unnamed: tuple[str, ...]
    """Keys of photos and thumbnails that no row names."""
    young: int
    """Uploads that no row names, and whose client may still make its job."""


def take_inventory(
    sessions: sessionmaker[Session], storage: Storage, *, spared: timedelta
) -> Inventory:
    """List our bucket into a temporary table and compare it with the rows.

    Uploads that are younger than `spared` are counted only. An object that was stored after it was
    listed seems to be lacking: look again before anything is done about it. Raises
    DatabaseUnavailable and StorageUnavailable.
    """
    before = datetime.now(UTC) - spared
    with transaction(sessions) as session:
        allow_long_statements(session)
        session.execute(text(TABLE))
        for page in _pages(storage):
            _copy(session, page)
        session.execute(text("ANALYZE stored"))
        ours: dict[str, Any] = {"bucket": storage.bucket}
        waiting = session.execute(WAITING_WITHOUT, ours | {"states": ["queued"]}).all()
        labelled = session.scalar(LABELLED_WITHOUT, ours | {"states": ["tagged", "no_face"]})
        unnamed = session.execute(UNNAMED, ours | {"before": before}).all()
    return Inventory(
        tuple(Lack(*row) for row in waiting),
        labelled or 0,
        tuple(row.key for row in unnamed if not row.young),
        sum(row.young for row in unnamed),
    )


def _pages(storage: Storage) -> Iterator[list[ListedObject]]:
    cursor: str | None = None
    while True:
        page, cursor = storage.list_prefix(storage.bucket, ALL_TENANTS, cursor)
        yield list(page)
        if cursor is None:
            return


def _copy(session: Session, page: list[ListedObject]) -> None:
    raw = session.connection().connection.driver_connection
    if not isinstance(raw, Connection):
        raise TypeError("objects are copied over a psycopg 3 connection")
    with raw.cursor() as cursor, cursor.copy("COPY stored (key, modified) FROM STDIN") as copy:
        for item in page:
            copy.write_row((item.key, item.modified))
