"""Say what a job would find, before it is made."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends

from facetag.bundles.labelling_key import current_key, key_of_heads
from facetag.errors import ObjectMissing, StorageRefused
from facetag.jobs import NewImage
from facetag.jobs.prefix import images_among
from facetag.jobs.reuse.known_results import count_known
from facetag_api.dependencies import AtDesk, Desk
from facetag_api.image_locations import locate_prefix, require_room, resolve_images
from facetag_api.openapi import json_body, problems
from facetag_api.problems import RequestInvalid, count_faults
from facetag_api.routes.jobs import parse_body, read_json, read_wish
from facetag_api.schemas import PlanAnswer, PlanRequest

router = APIRouter(tags=["jobs"])


@router.post(
    "/v1/jobs/plan",
    responses=problems(413, 415, 422, 503),
    openapi_extra=json_body("PlanRequest"),
)
def plan_job(desk: AtDesk, body: Annotated[bytes, Depends(read_json)]) -> PlanAnswer:
    """Count the images that a job would have, and those whose result is known; make no job.

    A prefix is counted a page of 1,000 objects at a time: repeat the request with `next_cursor` as
    `cursor` until that is null.
    """
    wanted = parse_body(PlanRequest, body)
    settings, tenant_id = desk.services.settings, desk.tenant_id
    next_cursor = None
    if wanted.images is None:
        images, next_cursor = _list_page(desk, wanted)
    else:
        require_room(len(wanted.images), settings)
        images = resolve_images(wanted.images, settings=settings, tenant_id=tenant_id)
    known = 0
    wish = read_wish(wanted, settings)
    if wanted.reuse and not wish.counts_only:
        with desk.transaction() as session:
            key = key_of_heads(current_key(session, settings), wish.heads, settings)
            known = count_known(session, images, tenant_id=tenant_id, key=key)
    return PlanAnswer(images=len(images), known=known, next_cursor=next_cursor)


def _list_page(desk: Desk, wanted: PlanRequest) -> tuple[Sequence[NewImage], str | None]:
    """Return a page of the images below a prefix, and the next cursor; raises RequestInvalid."""
    from botocore.exceptions import ClientError

    settings, tenant_id = desk.services.settings, desk.tenant_id
    bucket, prefix = locate_prefix(wanted.prefix or "", settings=settings, tenant_id=tenant_id)
    try:
        listed, cursor = desk.services.storage.list_prefix(bucket, prefix, wanted.cursor)
    except (ObjectMissing, StorageRefused, ClientError) as error:
        fault = {"loc": ["body", "prefix"], "message": f"s3://{bucket} cannot be listed: {error}"}
        raise RequestInvalid(count_faults(1), [fault]) from error
    own = tenant_id if bucket == settings.s3_bucket else None
    return images_among(listed, bucket, prefix, tenant_id=own), cursor
