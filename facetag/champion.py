"""Which bundle labels: the champion, how a candidate takes its place, and how it comes back.

Every function takes a Session inside a transaction and leaves the commit to its caller. Whoever
changes a state holds one advisory lock, so that no two champions are ever seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from facetag.errors import BundleStateConflict, BundleUnknown
from facetag.jobs.bundles import lock_models
from facetag.tables import BundleState, Model, Promotion


@dataclass(frozen=True, slots=True)
class Champion:
    """The bundle that labels; `files` is None where it lies on the workers' disks alone."""

    version: str
    number: int
    """That of its promotion, which only grows; 0 for the first champion, which nobody promoted."""
    files: Mapping[str, str] | None
    manifest: Mapping[str, Any]


def find_champion(session: Session, *, tenant_id: str) -> Champion | None:
    """Return the champion; None where no worker has started and nothing was promoted yet."""
    row = session.scalar(
        select(Model)
        .where(Model.tenant_id == tenant_id, Model.state == BundleState.CHAMPION)
        .execution_options(populate_existing=True)
    )
    if row is None:
        return None
    return Champion(row.version, _newest_number(session, tenant_id), row.files, row.manifest)


def find_bundle(session: Session, version: str, *, tenant_id: str) -> Model:
    """Return a bundle by its version, or by an ending that no other has; raises BundleUnknown."""
    ours = select(Model).where(Model.tenant_id == tenant_id)
    found = session.scalars(ours.where(Model.version == version)).all()
    found = found or session.scalars(ours.where(Model.version.endswith(version))).all()
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
    """Make a bundle visible whose files are in object storage; one that is known keeps its state.

    It becomes a candidate, or `refused` where the verdict says so. Raises BundleStateConflict
    where its version names other weights.
    """
    lock_models(session)
    row = session.get(Model, (tenant_id, manifest["version"]), populate_existing=True)
    if row is None:
        row = Model(tenant_id=tenant_id, version=manifest["version"], manifest=dict(manifest))
        row.state = BundleState.CANDIDATE
        if verdict is not None and not verdict["holds"]:
            row.state = BundleState.REFUSED
        session.add(row)
    elif row.manifest.get("weights_sha256") != manifest["weights_sha256"]:
        raise BundleStateConflict(
            f"Other weights are known as {row.version}: make the bundle anew, on another day."
        )
    row.files = dict(files)
    row.verdict = dict(verdict) if verdict is not None else row.verdict
    session.flush()
    return row


def promote(session: Session, version: str, *, tenant_id: str) -> Promotion:
    """Make a bundle the champion; workers load it beside the old one and switch between chunks.

    Raises BundleUnknown, and BundleStateConflict where it is the champion already, or where its
    files are not in object storage.
    """
    lock_models(session)
    row = find_bundle(session, version, tenant_id=tenant_id)
    if row.state == BundleState.CHAMPION:
        raise BundleStateConflict(f"{row.version} is the champion already.")
    if row.files is None:
        raise BundleStateConflict(
            f"{row.version} is not in object storage, where workers would look for it: give its "
            "folder to `facetag models import`."
        )
    return _crown(session, row, rollback=False)


def roll_back(session: Session, *, tenant_id: str) -> Promotion:
    """Bring back the champion that the present one took the place of.

    Raises BundleStateConflict where there was none before.
    """
    lock_models(session)
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
        raise BundleStateConflict("No champion came before this one: there is nothing to go to.")
    return _crown(session, session.get_one(Model, (tenant_id, previous)), rollback=True)


def _crown(session: Session, row: Model, *, rollback: bool) -> Promotion:
    before = find_champion(session, tenant_id=row.tenant_id)
    session.execute(
        update(Model)
        .where(Model.tenant_id == row.tenant_id, Model.state == BundleState.CHAMPION)
        .values(state=BundleState.RETIRED),
        execution_options={"synchronize_session": False},
    )
    session.execute(
        update(Model)
        .where(Model.tenant_id == row.tenant_id, Model.version == row.version)
        .values(state=BundleState.CHAMPION, promoted_at=func.now()),
        execution_options={"synchronize_session": False},
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


def _newest_number(session: Session, tenant_id: str) -> int:
    newest = select(func.max(Promotion.number)).where(Promotion.tenant_id == tenant_id)
    return session.scalar(newest) or 0
