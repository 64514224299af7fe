"""List bundles and changes of champion; promote a bundle, or roll back."""

from collections.abc import Collection

from fastapi import APIRouter

from facetag.bundles.registry import (
    find_bundle,
    list_models,
    list_promotions,
    promote,
    roll_back,
)
from facetag.db.tables import Model, Promotion
from facetag.heads import HELD_OUT_ANSWERS, HELD_OUT_IMAGES
from facetag_api.dependencies import AtDesk
from facetag_api.openapi import problems
from facetag_api.schemas import (
    BundleAnswer,
    BundleList,
    PromotionAnswer,
    PromotionList,
    PromotionRequest,
    VerdictAnswer,
)

router = APIRouter(tags=["models"])


@router.get("/v1/models", responses=problems(503))
def list_bundles(desk: AtDesk) -> BundleList:
    """Return all bundles of the deployment, which all tenants share, the newest first.

    Manifests are without `held_out_answers` and `held_out_images`, which are long: ask for one
    bundle to get them.
    """
    with desk.transaction() as session:
        rows = list_models(session, tenant_id=desk.services.settings.tenant_id)
    return BundleList(
        models=[_answer(row, without=(HELD_OUT_ANSWERS, HELD_OUT_IMAGES)) for row in rows]
    )


@router.get("/v1/models/{version}", responses=problems(404, 503))
def get_bundle(version: str, desk: AtDesk) -> BundleAnswer:
    """Return one bundle with its whole manifest."""
    with desk.transaction() as session:
        return _answer(find_bundle(session, version, tenant_id=desk.services.settings.tenant_id))


def _answer(row: Model, without: Collection[str] = ()) -> BundleAnswer:
    return BundleAnswer(
        version=row.version,
        state=row.state,
        manifest={name: value for name, value in row.manifest.items() if name not in without},
        created_at=row.created_at,
        promoted_at=row.promoted_at,
        verdict=None if row.verdict is None else VerdictAnswer(**row.verdict),
    )


@router.get("/v1/promotions", responses=problems(503))
def list_changes(desk: AtDesk) -> PromotionList:
    """Return the last 100 changes of champion, the newest first."""
    with desk.transaction() as session:
        rows = list_promotions(session, tenant_id=desk.tenant_id)
    return PromotionList(promotions=[_show(row) for row in rows])


@router.post(
    "/v1/models/{version}/promote",
    responses=problems(404, 409, 503),
    tags=["admin"],
)
def promote_bundle(
    desk: AtDesk, version: str, wanted: PromotionRequest | None = None
) -> PromotionAnswer:
    """Make a bundle the champion; running workers switch to it between two chunks.

    A bundle that did not pass its comparison needs `force`.
    """
    force = wanted is not None and wanted.force
    with desk.transaction() as session:
        return _show(promote(session, version, tenant_id=desk.tenant_id, force=force))


@router.post("/v1/models/rollback", responses=problems(409, 503), tags=["admin"])
def roll_back_champion(desk: AtDesk) -> PromotionAnswer:
    """Make the champion before this one the champion again."""
    with desk.transaction() as session:
        return _show(roll_back(session, tenant_id=desk.tenant_id))


def _show(row: Promotion) -> PromotionAnswer:
    return PromotionAnswer(
        version=row.version,
        previous=row.previous,
        rollback=row.rollback,
        created_at=row.created_at,
    )
