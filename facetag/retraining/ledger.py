"""Record every shard that a bundle was fitted on, every test set, and the part of each image.

Every function takes a Session inside a transaction. Shards and images are identified by SHA-256.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from facetag.db.tables import Shard, ShardImage
from facetag.errors import ShardRefused
from facetag.retraining.domains import name_domain

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
    """One usable image: SHA-256 of shard and image in hex, difference hash, and part."""

    shard: str
    sha256: str
    difference_hash: bytes
    """The difference hash, 32 bytes."""
    part: str


def record_shards(
    session: Session,
    shards: Mapping[str, str],
    images: Iterable[LedgerImage],
    *,
    tenant_id: str,
    version: str | None,
    domain: str | None = None,
) -> None:
    """Record shards (SHA-256 to name) and their images; earlier records are replaced.

    `version` is the bundle that was fitted on them; None records a test set. `domain` is the
    collection that they come from, by default that of each shard's name.
    """
    for digest, name in shards.items():
        values = {"name": name, "version": version, "domain": domain or name_domain(name)}
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
        # A shard may hold the same image twice.
        session.execute(insert(ShardImage).on_conflict_do_nothing(), rows)


def find_shards(session: Session, digests: Collection[str], *, tenant_id: str) -> dict[str, Shard]:
    """Return the SHA-256 of those shards that the ledger holds."""
    query = select(Shard).where(Shard.tenant_id == tenant_id, Shard.sha256.in_(digests))
    return {row.sha256: row for row in session.scalars(query)}


def learnt_shards(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the shards in a bundle's ancestry, SHA-256 to name, from its manifest."""
    return {shard["sha256"]: shard["name"] for shard in manifest.get("shards", [])}


def refuse_known(
    session: Session,
    shards: Mapping[str, str],
    learnt: Mapping[str, str],
    *,
    again: bool,
    tenant_id: str,
) -> None:
    """Raise ShardRefused if a bundle was fitted on one of the shards, or one is a test set.

    `shards` maps SHA-256 to name. `learnt` are the shards of the champion and its ancestors. With
    `again`, shards that only other bundles were fitted on are accepted.
    """
    recorded = find_shards(session, list(shards), tenant_id=tenant_id)
    for digest, name in shards.items():
        row = recorded.get(digest)
        if digest in learnt:
            raise ShardRefused(
                f"The champion was fitted on {name} already, as {learnt[digest]}: leave this "
                "shard out."
            )
        if row is not None and row.version is None:
            raise ShardRefused(
                f"{name} is a test set ({row.name}), so it is never fitted on: leave it out."
            )
        if row is not None and not again:
            raise ShardRefused(
                f"{row.version} was fitted on {name} already, but is no ancestor of the champion: "
                "promote that bundle, or give --again to fit on the shard once more."
            )


def refuse_fitted(
    session: Session, tests: Mapping[str, str], learnt: Mapping[str, str], *, tenant_id: str
) -> None:
    """Raise ShardRefused if a network was fitted on one of the test sets, SHA-256 to name.

    `learnt` are the shards of the champion and its ancestors.
    """
    recorded = find_shards(session, list(tests), tenant_id=tenant_id)
    for digest, name in tests.items():
        row = recorded.get(digest)
        if digest in learnt or (row is not None and row.version is not None):
            raise ShardRefused(
                f"A network was fitted on {name} already, so it is no test set: give another one."
            )


def find_protected(
    session: Session, images: Collection[str], shards: Collection[str], *, tenant_id: str
) -> dict[str, tuple[str, str]]:
    """Return the images that belong to a test set or to the holdout of these shards.

    Maps SHA-256 to (part, name of the shard).
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
    """Return the difference hashes of the images of these shards and of all test sets."""
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
