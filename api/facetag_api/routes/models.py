"""List the bundles and how each compared with the champion of its time."""

from fastapi import APIRouter

from facetag.bundles.registry import list_models
from facetag_api.dependencies import AtDesk
from facetag_api.openapi import problems
from facetag_api.schemas import BundleAnswer, BundleList, VerdictAnswer

router = APIRouter(tags=["models"])


@router.get("/v1/models", responses=problems(503))
def list_bundles(desk: AtDesk) -> BundleList:
    """Return all bundles with their manifests and verdicts, the newest first."""
    with desk.transaction() as session:
        rows = list_models(session, tenant_id=desk.tenant_id)
    return BundleList(
        models=[
            BundleAnswer(
                version=row.version,
                state=row.state,
                manifest=row.manifest,
                created_at=row.created_at,
                promoted_at=row.promoted_at,
                verdict=None if row.verdict is None else VerdictAnswer(**row.verdict),
            )
            for row in rows
        ]
    )
