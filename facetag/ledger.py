"""The ledger: every shard that a bundle was fitted on or must never see, and each image's part.

Every function takes a Session inside a transaction. Shards and images are known by SHA-256 alone.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from facetag.storage import tenant_prefix
from facetag.tables import BundleState, Model, Shard, ShardImage

TRAINING, HOLDOUT, TEST = "training", "holdout", "test"
NEVER_FITTED = (HOLDOUT, TEST)


@dataclass(frozen=True, slots=True)
class LedgerImage:
    """One usable image of a shard: SHA-256 in hex, difference hash (32 bytes), and its part."""

    sha256: str
    difference_hash: bytes
    part: str


def shard_key(tenant_id: str, sha256: str) -> str:
    """Return where a shard lies in object storage."""
    return f"{tenant_prefix(tenant_id)}shards/{sha256}.tar"


def record_shard(
    session: Session,
    *,
    tenant_id: str,
    sha256: str,
    name: str,
    images: Iterable[LedgerImage],
    version: str | None = None,
) -> None:
    """Write a shard and its images into the ledger; what was known of it is replaced.

    `version` is the bundle that was fitted on it; without one it is protected.
    """
    values: dict[str, Any] = {
        "name": name,
        "key": shard_key(tenant_id, sha256),
        "protected": version is None,
        "version": version,
    }
    session.execute(
        insert(Shard)
        .values(tenant_id=tenant_id, sha256=sha256, **values)
        .on_conflict_do_update(index_elements=[Shard.tenant_id, Shard.sha256], set_=values)
    )
    session.execute(
        delete(ShardImage).where(ShardImage.tenant_id == tenant_id, ShardImage.shard == sha256)
    )
    rows = [
        {
            "tenant_id": tenant_id,
            "shard": sha256,
            "sha256": image.sha256,
            "difference_hash": image.difference_hash,
            "part": image.part,
        }
        for image in images
    ]
    if rows:
        session.execute(insert(ShardImage), rows)


def list_shards(session: Session, *, tenant_id: str) -> list[Shard]:
    """Return all shards of the ledger, the oldest first."""
    query = select(Shard).where(Shard.tenant_id == tenant_id)
    return list(session.scalars(query.order_by(Shard.created_at, Shard.sha256)))


def learned_by(
    session: Session, champion: Mapping[str, Any], digests: Collection[str], *, tenant_id: str
) -> dict[str, str]:
    """Return which of the shards are learnt already, and the bundle that learnt each.

    Those in the champion's manifest, which lists its ancestors' as well, and those of a candidate
    that still waits. What only a refused or retired bundle has learnt may be learnt anew.
    """
    known = {entry["sha256"]: str(champion["version"]) for entry in champion["shards"]}
    pending = session.execute(
        select(Shard.sha256, Shard.version)
        .join(Model, (Model.tenant_id == Shard.tenant_id) & (Model.version == Shard.version))
        .where(
            Shard.tenant_id == tenant_id,
            Shard.sha256.in_(digests),
            Model.state == BundleState.CANDIDATE,
        )
    )
    found = {digest: version for digest, version in known.items() if digest in digests}
    return {row.sha256: row.version for row in pending} | found


def find_protected(
    session: Session, images: Collection[str], *, tenant_id: str
) -> dict[str, tuple[str, str]]:
    """Return which images are of a test set or a holdout: SHA-256 to (part, name of the shard)."""
    rows = session.execute(
        select(ShardImage.sha256, ShardImage.part, Shard.name)
        .join(
            Shard,
            (Shard.tenant_id == ShardImage.tenant_id) & (Shard.sha256 == ShardImage.shard),
        )
        .where(
            ShardImage.tenant_id == tenant_id,
            ShardImage.part.in_(NEVER_FITTED),
            ShardImage.sha256.in_(images),
        )
    )
    return {row.sha256: (row.part, row.name) for row in rows}


def known_hashes(session: Session, shards: Collection[str], *, tenant_id: str) -> list[bytes]:
    """Return the difference hashes of these shards' images and of every protected one."""
    rows = session.scalars(
        select(ShardImage.difference_hash).where(
            ShardImage.tenant_id == tenant_id,
            ShardImage.shard.in_(shards) | ShardImage.part.in_(NEVER_FITTED),
        )
    )
    return list(rows)


def shard_parts(session: Session, shard: str, *, tenant_id: str) -> dict[str, str]:
    """Return the part of each of a shard's images, by SHA-256."""
    query = select(ShardImage.sha256, ShardImage.part).where(
        ShardImage.tenant_id == tenant_id, ShardImage.shard == shard
    )
    return {row.sha256: row.part for row in session.execute(query)}
