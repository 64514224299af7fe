"""The ledger: every shard that a bundle was fitted on or must never see, and each image's part.

Every function takes a Session inside a transaction. Shards and images are known by SHA-256 alone.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from facetag.db.tables import Shard, ShardImage
from facetag.errors import ShardRefused

TRAINING, VALIDATION, CALIBRATION, HOLDOUT, TEST = (
    "training",
    "validation",
    "calibration",
    "holdout",
    "test",
)
NEVER_FITTED = (HOLDOUT, TEST)


@dataclass(frozen=True, slots=True)
class LedgerImage:
    """One usable image: its shard and itself by SHA-256 in hex, difference hash, and part."""

    shard: str
    sha256: str
    difference_hash: bytes
    """32 bytes."""
    part: str


def record_shards(
    session: Session,
    shards: Mapping[str, str],
    images: Iterable[LedgerImage],
    *,
    tenant_id: str,
    version: str | None,
) -> None:
    """Write shards (SHA-256 to name) and their images; what was known of them is replaced.

    `version` is the bundle that was fitted on them; None makes them a test set.
    """
    for digest, name in shards.items():
        values = {"name": name, "version": version}
        session.execute(
            insert(Shard)
            .values(tenant_id=tenant_id, sha256=digest, **values)
            .on_conflict_do_update(index_elements=[Shard.tenant_id, Shard.sha256], set_=values)
        )
    session.execute(
        delete(ShardImage).where(ShardImage.tenant_id == tenant_id, ShardImage.shard.in_(shards))
    )
    rows = [
        {
            "tenant_id": tenant_id,
            "shard": image.shard,
            "sha256": image.sha256,
            "difference_hash": image.difference_hash,
            "part": image.part,
        }
        for image in images
    ]
    if rows:
        # A shard may hold one image twice.
        session.execute(insert(ShardImage).on_conflict_do_nothing(), rows)


def find_shards(session: Session, digests: Collection[str], *, tenant_id: str) -> dict[str, Shard]:
    """Return which of these shards the ledger holds, by SHA-256."""
    query = select(Shard).where(Shard.tenant_id == tenant_id, Shard.sha256.in_(digests))
    return {row.sha256: row for row in session.scalars(query)}


def learnt_shards(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the shards of a bundle's line, SHA-256 to name, as its manifest lists them."""
    return {shard["sha256"]: shard["name"] for shard in manifest.get("shards", [])}


def refuse_known(
    session: Session,
    shards: Mapping[str, str],
    learnt: Mapping[str, str],
    *,
    again: bool,
    tenant_id: str,
) -> None:
    """Raise ShardRefused where one of the shards (SHA-256 to name) was learnt, or is a test set.

    `learnt` are those of the champion's line; with `again` those of other lines are let through.
    """
    recorded = find_shards(session, list(shards), tenant_id=tenant_id)
    for digest, name in shards.items():
        row = recorded.get(digest)
        if digest in learnt:
            raise ShardRefused(
                f"{name} was learnt already: it is one of the champion's shards "
                f"({learnt[digest]}), and none is learnt twice."
            )
        if row is not None and row.version is None:
            raise ShardRefused(f"{name} is a test set ({row.name}): it is never fitted on.")
        if row is not None and not again:
            raise ShardRefused(
                f"{name} was learnt already, by {row.version}, which is not of the champion's "
                "line: promote that one, or give --again to learn it anew."
            )


def find_protected(
    session: Session, images: Collection[str], shards: Collection[str], *, tenant_id: str
) -> dict[str, tuple[str, str]]:
    """Return which images are of a test set or of these shards' holdout.

    As SHA-256 to (part, name of the shard).
    """
    rows = session.execute(
        select(ShardImage.sha256, ShardImage.part, Shard.name)
        .join(
            Shard,
            (Shard.tenant_id == ShardImage.tenant_id) & (Shard.sha256 == ShardImage.shard),
        )
        .where(
            ShardImage.tenant_id == tenant_id,
            (ShardImage.part == TEST)
            | ((ShardImage.part == HOLDOUT) & ShardImage.shard.in_(shards)),
        )
    )
    wanted = set(images)
    return {row.sha256: (row.part, row.name) for row in rows if row.sha256 in wanted}


def known_hashes(session: Session, shards: Collection[str], *, tenant_id: str) -> list[bytes]:
    """Return the difference hashes of these shards' images and of every test set's."""
    rows = session.scalars(
        select(ShardImage.difference_hash).where(
            ShardImage.tenant_id == tenant_id,
            ShardImage.shard.in_(shards) | (ShardImage.part == TEST),
        )
    )
    return list(rows)


def image_parts(session: Session, shards: Collection[str], *, tenant_id: str) -> dict[str, str]:
    """Return the part of each image of these shards, by the image's SHA-256."""
    query = select(ShardImage.sha256, ShardImage.part).where(
        ShardImage.tenant_id == tenant_id, ShardImage.shard.in_(shards)
    )
    return {row.sha256: row.part for row in session.execute(query)}
