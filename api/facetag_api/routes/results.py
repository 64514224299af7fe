"""Return a job's images: a page as JSON, or all of them as a stream of JSON lines or CSV."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import Field

from facetag.db.tables import ImageState, Job
from facetag.jobs import decode_cursor, encode_cursor, get_job, list_images, read_pages
from facetag.results.collection_counts import compose
from facetag.results.counts_json import counts_json
from facetag.results.csv_rows import (
    ALL_HEADS,
    COLUMNS,
    csv_header,
    csv_rows,
    without_other_heads,
)
from facetag.results.name_escapes import dump_json
from facetag_api import limits
from facetag_api.dependencies import AtDesk, Desk
from facetag_api.openapi import problems
from facetag_api.problems import TooBusy
from facetag_api.routes.jobs import JobId
from facetag_api.schemas import CompositionAnswer, ImagePage

MEDIA_TYPES = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
Lines = Sequence[dict[str, Any]]
MAX_UNSETTLED = 500

router = APIRouter(tags=["results"])


@router.get(
    "/v1/jobs/{job_id}/images", response_model=ImagePage, responses=problems(404, 409, 422, 503)
)
def list_job_images(
    desk: AtDesk,
    job_id: JobId,
    state: Annotated[ImageState | None, Query(description="Only images in this state")] = None,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the previous page")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    reviewed: Annotated[bool, Query(description="Only images with reviewed faces")] = False,
    unsettled: Annotated[
        list[Annotated[int, Field(ge=0, lt=2**31)]] | None,
        Query(
            max_length=MAX_UNSETTLED,
            description="Positions of images that were open when all results were read: only these,"
            " and images that repeat another one, are returned",
        ),
    ] = None,
) -> JSONResponse:
    """Return a page of a job's images, in the job's order."""
    after = None if cursor is None else int(decode_cursor(cursor, int)[0])
    with desk.transaction() as session:
        lines, last = list_images(
            session,
            job_id,
            tenant_id=desk.tenant_id,
            state=state,
            after_position=after,
            limit=limit,
            reviewed=reviewed,
            unsettled=unsettled,
        )
    next_cursor = None if last is None else encode_cursor(last)
    return JSONResponse({"images": lines, "next_cursor": next_cursor})


@router.get(
    "/v1/jobs/{job_id}/results",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "One JSON object per line and image, or one CSV row per face",
            "content": {
                "application/x-ndjson": {"schema": {"$ref": "#/components/schemas/ImageLine"}},
                "text/csv": {"schema": {"type": "string"}},
            },
        },
        **problems(404, 409, 422, 503),
    },
)
def stream_job_results(
    desk: AtDesk,
    job_id: JobId,
    format: Annotated[Literal["jsonl", "csv"], Query()] = "jsonl",  # noqa: A002 - the contract
    raw: Annotated[
        bool, Query(description="CSV for machines: text that a spreadsheet may run is not escaped")
    ] = False,
) -> StreamingResponse:
    """Stream the results of all images of a job, in the job's order, also while it runs.

    If the stream cannot be completed, the connection breaks off without the final chunk.
    """
    job = desk.read(lambda session: get_job(session, job_id, tenant_id=desk.tenant_id))
    pages: Iterator[Lines] = read_pages(desk.transaction, job_id, tenant_id=desk.tenant_id)
    # The first page is read before the response begins, so that an error still sets the status.
    pages = chain([next(pages)], pages)
    if format == "csv":
        written = write_csv(pages, heads=ALL_HEADS if job.heads is None else job.heads, raw=raw)
    else:
        written = write_jsonl(pages)
    return StreamingResponse(
        written,
        media_type=MEDIA_TYPES[format],
        headers={"Content-Disposition": f'attachment; filename="facetag-{job_id}.{format}"'},
    )


@router.get(
    "/v1/jobs/{job_id}/composition",
    response_model=CompositionAnswer,
    responses=problems(404, 409, 503),
)
def get_composition(desk: AtDesk, job_id: JobId) -> JSONResponse:
    """Count who is in a job's photos as they are now, for the charts of the page.

    Reviewed labels count in place of the network's, and a photo that repeats another one is
    counted once.
    """
    job = desk.read(lambda session: get_job(session, job_id, tenant_id=desk.tenant_id))
    with place_to_count(desk, job):
        pages = read_pages(desk.transaction, job_id, tenant_id=desk.tenant_id)
        composition = compose(chain.from_iterable(pages))
    columns = without_other_heads(COLUMNS, ALL_HEADS if job.heads is None else job.heads)
    return JSONResponse({"counts": counts_json(composition), "columns": columns})


@contextmanager
def place_to_count(desk: Desk, job: Job) -> Iterator[None]:
    """Hold one of the few places to count a large job; raises TooBusy if none is free."""
    places = desk.services.large_compositions
    if job.total is not None and job.total <= limits.LARGE_COMPOSITION:
        yield
    elif places.acquire(blocking=False):
        try:
            yield
        finally:
            places.release()
    else:
        raise TooBusy("Other large jobs are counted now: try again in a minute.")


def write_jsonl(pages: Iterator[Lines]) -> Iterator[bytes]:
    """Yield JSON lines, a page at a time."""
    for lines in pages:
        yield "".join(f"{dump_json(line)}\n" for line in lines).encode()


def write_csv(pages: Iterator[Lines], *, heads: Collection[str], raw: bool) -> Iterator[bytes]:
    """Yield a CSV with its header, a page at a time."""
    yield csv_header(heads).encode()
    for lines in pages:
        yield csv_rows(lines, heads, raw=raw).encode()
