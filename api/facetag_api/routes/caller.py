"""Tell a client what its key allows, so that it offers nothing that would be refused."""

from fastapi import APIRouter

from facetag.access.keys import Scope
from facetag_api.dependencies import AtDesk
from facetag_api.openapi import problems
from facetag_api.schemas import CallerAnswer

router = APIRouter(tags=["access"])


@router.get("/v1/caller", responses=problems(503))
async def get_own_key(desk: AtDesk) -> CallerAnswer:
    """Return whose key the request carries, and which scopes it includes."""
    caller = desk.caller
    return CallerAnswer(
        name=caller.name,
        tenant=caller.tenant_id,
        scope=caller.scope,
        allows=[scope for scope in Scope if caller.may(scope)],
    )
