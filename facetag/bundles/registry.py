"""Register bundles and record which one is the champion, by promotion or rollback.

Every function takes a Session inside a transaction and leaves the commit to its caller. A change of
state holds one advisory lock, so that there are never two champions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from facetag.db.tables import BundleState, Model, Promotion
from facetag.errors import BundleStateConflict, BundleUnknown


@dataclass(frozen=True, slots=True)
class Champion:
    """The bundle that labels; `files` is None if only the workers' disks have it."""

    version: str
    number: int
    """Number of its promotion; numbers only grow. The first champion, never promoted, has 0."""
    files: Mapping[str, str] | None
    manifest: Mapping[str, Any]


def list_models(session: Session, *, tenant_id: str) -> list[Model]:
    """Return a tenant's bundles, the newest first."""
    query = (
        select(Model)
        .where(Model.tenant_id == tenant_id)
        .order_by(Model.created_at.desc(), Model.version)
    )
    return list(session.scalars(query))


def register_model(session: Session, tenant_id: str, manifest: Mapping[str, Any]) -> Model:
    """Record a bundle under its manifest's `version`; a known one keeps its state.

    A tenant's first bundle becomes the champion, later ones are candidates. A bundle in object
    storage keeps the manifest that was stored with it.
    """
    _lock_models(session)
    champion = select(Model.version).where(
        Model.tenant_id == tenant_id, Model.state == BundleState.CHAMPION
    )
    state = BundleState.CANDIDATE if session.scalar(champion.limit(1)) else BundleState.CHAMPION
    version = manifest["version"]
    session.execute(
        insert(Model)
        .values(tenant_id=tenant_id, version=version, state=state, manifest=dict(manifest))
        .on_conflict_do_update(
            index_elements=[Model.tenant_id, Model.version],
            set_={"manifest": dict(manifest)},
            where=Model.files.is_(None),
        )
    )
    return session.get_one(Model, (tenant_id, version), populate_existing=True)


def find_champion(session: Session, *, tenant_id: str) -> Champion | None:
    """Return the champion; None before the first worker start or promotion."""
    number = (
        select(func.coalesce(func.max(Promotion.number), 0))
        .where(Promotion.tenant_id == tenant_id)
        .scalar_subquery()
    )
    # One statement reads the champion and its number at one moment.
    row = session.execute(
        select(Model.version, number.label("number"), Model.files, Model.manifest).where(
            Model.tenant_id == tenant_id, Model.state == BundleState.CHAMPION
        )
    ).one_or_none()
    return None if row is None else Champion(row.version, row.number, row.files, row.manifest)


def find_bundle(session: Session, version: str, *, tenant_id: str) -> Model:
    """Return a bundle by its version, or by a unique end of it; raises BundleUnknown."""
    # PostgreSQL refuses NUL, which no version holds.
    version = version.replace("\0", "\ufffd")
    ours = select(Model).where(Model.tenant_id == tenant_id)
    ends = Model.version.endswith(version, autoescape=True)
    found = session.scalars(ours.where(Model.version == version)).all()
    found = found or session.scalars(ours.where(ends)).all()
    if len(found) != 1:
        kind = "No bundle has" if not found else "Several bundles have"
        raise BundleUnknown(f"{kind} the version {version}: see `facetag models list`.")
    return found[0]


def add_bundle(
    session: Session,
    manifest: Mapping[str, Any],
    files: Mapping[str, str],
    *,
    tenant_id: str,
    verdict: Mapping[str, Any] | None = None,
) -> Model:
    """Register a bundle whose files are in object storage; a known one keeps its state.

    A new bundle is a candidate. Raises BundleStateConflict if its version names other weights.
    """
    _lock_models(session)
    row = session.get(Model, (tenant_id, manifest["version"]), populate_existing=True)
    if row is None:
        row = Model(
            tenant_id=tenant_id, version=manifest["version"], state=BundleState.CANDIDATE.value
        )
        session.add(row)
    elif row.manifest.get("weights_sha256") != manifest["weights_sha256"]:
        raise BundleStateConflict(
            f"The version {row.version} belongs to other weights: fit the bundle again, so that it "
            "gets another version."
        )
    row.manifest, row.files = dict(manifest), dict(files)
    row.verdict = row.verdict if verdict is None else dict(verdict)
    session.flush()
    return row


def promote(session: Session, version: str, *, tenant_id: str, force: bool = False) -> Promotion:
    """Make a bundle the champion; workers load it and switch between two chunks.

    Raises BundleUnknown, and BundleStateConflict if it is the champion already, if its files are
    not in object storage, or if it did not pass a comparison with the champion, unless `force`
    is set.
    """
    _lock_models(session)
    row = find_bundle(session, version, tenant_id=tenant_id)
    if row.state == BundleState.CHAMPION:
        raise BundleStateConflict(f"{row.version} is the champion already.")
    if row.files is None:
        raise BundleStateConflict(
            f"{row.version} is not in object storage, where workers look for it: give its folder "
            "instead of its version."
        )
    if not force:
        _check_verdict(row, find_champion(session, tenant_id=tenant_id))
    return _crown(session, row, rollback=False)


def _check_verdict(row: Model, champion: Champion | None) -> None:
    """Raise BundleStateConflict unless a bundle passed its comparison with the champion."""
    verdict = row.verdict
    if verdict is not None and not verdict["holds"]:
        reasons = "".join(f"\n  {reason}" for reason in verdict["reasons"])
        raise BundleStateConflict(
            f"{row.version} did not pass the comparison with {verdict['against']}:{reasons}\n"
            "Promote it anyway with --force."
        )
    if champion is not None and (verdict is None or verdict["against"] != champion.version):
        raise BundleStateConflict(
            f"{row.version} was never compared with the champion {champion.version}. Measure both "
            "with `facetag evaluate SHARD... --model FOLDER`; then promote it with --force."
        )


def roll_back(session: Session, *, tenant_id: str) -> Promotion:
    """Make the previous champion the champion again.

    Raises BundleStateConflict if there was none.
    """
    _lock_models(session)
    champion = find_champion(session, tenant_id=tenant_id)
    previous = champion and session.scalar(
        select(Promotion.previous)
        .where(
            Promotion.tenant_id == tenant_id,
            Promotion.version == champion.version,
            Promotion.rollback.is_(False),
        )
        .order_by(Promotion.number.desc())
        .limit(1)
    )
    if not previous:
        raise BundleStateConflict("This champion is the first one: there is none to roll back to.")
    return _crown(session, session.get_one(Model, (tenant_id, previous)), rollback=True)


def list_promotions(session: Session, *, tenant_id: str, limit: int = 100) -> list[Promotion]:
    """Return the latest changes of champion, the newest first."""
    query = (
        select(Promotion)
        .where(Promotion.tenant_id == tenant_id)
        .order_by(Promotion.number.desc())
        .limit(limit)
    )
    return list(session.scalars(query))


def _crown(session: Session, row: Model, *, rollback: bool) -> Promotion:
    before = find_champion(session, tenant_id=row.tenant_id)
    unsynchronised = {"synchronize_session": False}
    # The old champion retires first: a unique index allows only one.
    session.execute(
        update(Model)
        .where(Model.tenant_id == row.tenant_id, Model.state == BundleState.CHAMPION)
        .values(state=BundleState.RETIRED),
        execution_options=unsynchronised,
    )
    session.execute(
        update(Model)
        .where(Model.tenant_id == row.tenant_id, Model.version == row.version)
        .values(state=BundleState.CHAMPION, promoted_at=func.now()),
        execution_options=unsynchronised,
    )
    promotion = Promotion(
        tenant_id=row.tenant_id,
        version=row.version,
        previous=before.version if before else None,
        rollback=rollback,
    )
    session.add(promotion)
    session.flush()
    session.expire(row)
    return promotion


def _lock_models(session: Session) -> None:
    """Hold the lock for changes of a bundle's state until the commit.

    Two workers that start at once must not both find that there is no champion.
    """
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("models", 0))))
