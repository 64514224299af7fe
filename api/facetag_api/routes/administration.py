"""Delete photos from all jobs, and show who did what."""

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Query

from facetag.access.audit import list_lines
from facetag.erasure.purge import purge_photos
from facetag.erasure.tombstones import work_off
from facetag_api.dependencies import AtDesk
from facetag_api.openapi import problems
from facetag_api.schemas import AuditEntry, AuditPage, Erasure, PurgeRequest

router = APIRouter(tags=["admin"])


@router.post("/v1/purge", status_code=202, responses=problems(413, 422, 503))
def purge(desk: AtDesk, wanted: PurgeRequest, afterwards: BackgroundTasks) -> Erasure:
    """Delete photos, and all that was found in them, from all jobs of the tenant.

    Photos that a worker is at work on, or that wait for one, stay: ask again when their job ended.
    """
    services = desk.services
    with desk.transaction() as session:
        number = purge_photos(
            session,
            [bytes.fromhex(one) for one in wanted.sha256],
            tenant_id=desk.tenant_id,
            bucket=services.storage.bucket,
            actor=desk.caller.shown,
        )
    afterwards.add_task(work_off, services.sessions, services.storage)
    return Erasure(number=number)


@router.get("/v1/audit-log", responses=problems(422, 503))
def show_audit_log(desk: AtDesk, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> AuditPage:
    """Return who did what, when and to how many, the newest first."""
    with desk.transaction() as session:
        lines = list_lines(session, tenant_id=desk.tenant_id, limit=limit)
    entries = [AuditEntry.model_validate(line, from_attributes=True) for line in lines]
    return AuditPage(lines=entries)
