"""List the bundles and how each compared with the champion of its time."""

from fastapi import APIRouter

from facetag.bundles.registry import find_bundle, list_models
from facetag.db.tables import Model
from facetag.heads import HELD_OUT_ANSWERS
from facetag_api.dependencies import AtDesk
from facetag_api.openapi import problems
from facetag_api.schemas import BundleAnswer, BundleList, VerdictAnswer

router = APIRouter(tags=["models"])


@router.get("/v1/models", responses=problems(503))
def list_bundles(desk: AtDesk) -> BundleList:
    """Return all bundles of the deployment, which all tenants share, the newest first.

    Manifests are without `held_out_answers`, which are long: ask for one bundle to get them.
    """
    with desk.transaction() as session:
        rows = list_models(session, tenant_id=desk.services.settings.tenant_id)
    return BundleList(models=[_answer(row, without=HELD_OUT_ANSWERS) for row in rows])


@router.get("/v1/models/{version}", responses=problems(404, 503))
def get_bundle(version: str, desk: AtDesk) -> BundleAnswer:
    """Return one bundle with its whole manifest."""
    with desk.transaction() as session:
        return _answer(find_bundle(session, version, tenant_id=desk.services.settings.tenant_id))


def _answer(row: Model, without: str | None = None) -> BundleAnswer:
    return BundleAnswer(
        version=row.version,
        state=row.state,
        manifest={name: value for name, value in row.manifest.items() if name != without},
        created_at=row.created_at,
        promoted_at=row.promoted_at,
        verdict=None if row.verdict is None else VerdictAnswer(**row.verdict),
    )
