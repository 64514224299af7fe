"""The bundles that workers have loaded, so that users see what labels their photos."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from facetag.tables import BundleState, Model


def list_models(session: Session, *, tenant_id: str) -> list[Model]:
    """Return the bundles known to a tenant, the newest first."""
    query = (
        select(Model)
        .where(Model.tenant_id == tenant_id)
        .order_by(Model.created_at.desc(), Model.version)
    )
    return list(session.scalars(query))


def register_model(session: Session, tenant_id: str, manifest: Mapping[str, Any]) -> Model:
    """Record a bundle by its manifest's `version`; one that is known keeps its state.

    A tenant's first bundle is its champion, every later one a candidate. What is in object storage
    keeps the manifest that was stored with it.
    """
    lock_models(session)
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


def lock_models(session: Session) -> None:
    """Wait for whoever changes a bundle's state, and keep others waiting until the commit.

    Two workers that start at once must not both find that there is no champion.
    """
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("models", 0))))
