"""Find and repair what disagrees between rows, stored objects, counts and bundles."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby

from sqlalchemy import select, text
from sqlalchemy.orm import Session, sessionmaker

from facetag.access.audit import SWEEPER, record
from facetag.bundles.object_store import bundle_key
from facetag.db.engine import transaction
from facetag.db.tables import ImageState, Model
from facetag.erasure.tombstones import bury, work_off
from facetag.errors import ErrorCode
from facetag.jobs import close_job_if_done, move_counts
from facetag.jobs.queries import UPLOAD_GRACE
from facetag.repair.count_check import count_again, find_miscounted
from facetag.repair.object_inventory import Lack, take_inventory
from facetag.storage.client import Storage

BATCH = 1000

FAIL = text("""
    WITH waiting AS (
        SELECT id FROM images WHERE id = ANY(:ids) AND state = 'queued' ORDER BY id FOR UPDATE
    )
    UPDATE images SET state = 'failed', suspicion = 0, not_before = NULL, finished_at = now(),
        error_code = :code,
        error_message = 'There is no object s3://' || bucket || '/' || key || '.'
    FROM waiting WHERE images.id = waiting.id
    RETURNING images.id
""")


@dataclass(frozen=True, slots=True)
class Repaired:
    """What disagreed, and was repaired unless only a dry run was asked for."""

    lacking: int
    """Images that waited for a photo that our bucket lacks: they fail as `object_missing`."""
    labelled: int
    """Labelled images whose photo our bucket lacks: they stay as they are."""
    unnamed: int
    """Photos and thumbnails that no row names: they are deleted."""
    young: int
    """Uploads that no row names yet: they stay for a day."""
    miscounted: int
    """Jobs whose counts were wrong: they are counted again."""
    bundles: tuple[str, ...]
    """Bundles of which a file is missing; nothing here can bring it back."""


def repair(
    sessions: sessionmaker[Session],
    storage: Storage,
    *,
    dry_run: bool,
    spared: timedelta = UPLOAD_GRACE,
) -> Repaired:
    """Repair what disagrees; with `dry_run`, only say what does.

    Uploads younger than `spared` stay. Workers, API and sweeper may run meanwhile. Raises
    DatabaseUnavailable and StorageUnavailable.
    """
    inventory = take_inventory(sessions, storage, spared=spared)
    # Look again: a photo may have been stored after its place was listed.
    lacks = [lack for lack in inventory.waiting if not storage.exists(lack.key)]
    miscounted = find_miscounted(sessions)
    lacking, unnamed = len(lacks), len(inventory.unnamed)
    if not dry_run:
        for job_id in miscounted:
            count_again(sessions, job_id)
        lacking = _fail(sessions, lacks)
        _delete(sessions, storage, inventory.unnamed)
    return Repaired(
        lacking,
        inventory.labelled,
        unnamed,
        inventory.young,
        len(miscounted),
        tuple(_broken_bundles(sessions, storage)),
    )


def _fail(sessions: sessionmaker[Session], lacks: Iterable[Lack]) -> int:
    """Fail images that still wait; return how many."""
    failed = 0
    for job_id, of_job in groupby(lacks, key=lambda lack: lack.job_id):
        ids = [lack.image_id for lack in of_job]
        for start in range(0, len(ids), BATCH):
            failed += _fail_batch(sessions, job_id, ids[start : start + BATCH])
    return failed


def _fail_batch(sessions: sessionmaker[Session], job_id: uuid.UUID, ids: list[int]) -> int:
    with transaction(sessions) as session:
        code = ErrorCode.OBJECT_MISSING.value
        number = len(session.execute(FAIL, {"ids": ids, "code": code}).all())
        if number:
            move_counts(session, job_id, {ImageState.QUEUED: -number, ImageState.FAILED: number})
            close_job_if_done(session, job_id)
        return number


def _delete(sessions: sessionmaker[Session], storage: Storage, keys: Sequence[str]) -> None:
    """Write tombstones, so that what storage does not delete now is deleted by the sweeper."""
    if not keys:
        return
    repair_id = uuid.uuid4()
    with transaction(sessions) as session:
        for tenant_id, mine in groupby(keys, key=lambda key: key.split("/")[1]):
            number = bury(session, mine, tenant_id=tenant_id, job_id=repair_id)
            record(
                session,
                "unnamed objects buried",
                tenant_id=tenant_id,
                actor=SWEEPER,
                subject=repair_id,
                number=number,
            )
    work_off(sessions, storage, job_id=repair_id)


def _broken_bundles(sessions: sessionmaker[Session], storage: Storage) -> list[str]:
    with transaction(sessions) as session:
        stored = session.execute(
            select(Model.tenant_id, Model.version, Model.files).where(Model.files.is_not(None))
        ).all()
    return [
        version
        for tenant_id, version, files in stored
        if not all(
            storage.operator.exists(bundle_key(tenant_id, version, name, digest))
            for name, digest in files.items()
        )
    ]
