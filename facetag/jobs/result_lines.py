"""Read the images of a job as lines of its results, a page at a time."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from sqlalchemy import ARRAY, Integer, Row, Select, Text, bindparam, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session, aliased

from facetag.db.tables import FaceRow, Image, ImageState, Review
from facetag.jobs.aggregates import require_results
from facetag.jobs.queries import get_job
from facetag.results.image_lines import Face, image_line
from facetag.reviews.reviewed_faces import review_faces, reviews_of_image

PAGE_LINES = 500
"""Lines of a whole job that are in memory at a time."""


def read_pages(
    transaction: Callable[[], AbstractContextManager[Session]], job_id: uuid.UUID, *, tenant_id: str
) -> Iterator[list[dict[str, Any]]]:
    """Yield a job's lines a page at a time, each page in a transaction of its own.

    So a client that reads slowly holds no database connection, and vacuum need not wait for it.
    Raises JobNotFound, also in mid-stream if the job is deleted meanwhile.
    """
    after: int | None = None
    while True:
        with transaction() as session:
            lines, after = list_images(
                session, job_id, tenant_id=tenant_id, after_position=after, limit=PAGE_LINES
            )
        for line in lines:
            del line["position"]
        yield lines
        if after is None:
            return


def list_images(
    session: Session,
    job_id: uuid.UUID,
    *,
    tenant_id: str,
    state: ImageState | None = None,
    after_position: int | None = None,
    limit: int = 100,
    reviewed: bool = False,
    unsettled: Sequence[int] | None = None,
) -> tuple[list[dict[str, Any]], int | None]:
    """Return up to `limit` lines with their `position`, and the last position or None at the end.

    With `reviewed`, only images of which somebody reviewed a face. With positions in `unsettled`,
    only these and images that repeat another one: what may differ from lines that were read while
    these were open. Raises JobNotFound, and JobStateConflict for a job that keeps counts only.
    """
    values = {
        "job": job_id,
        "after": -1 if after_position is None else after_position,
        "state": None if state is None else state.value,
        "limit": limit + 1,
    }
    if unsettled is not None:
        values["unsettled"] = list(unsettled)
    query = _select_lines(
        in_state=state is not None, reviewed=reviewed, unsettled=unsettled is not None
    )
    rows = session.execute(query, values).all()
    # The job is read last: if it was deleted meanwhile, missing lines must not look like its end.
    require_results(get_job(session, job_id, tenant_id=tenant_id))
    lines = [{**_line(row), "position": row.position} for row in rows[:limit]]
    return lines, lines[-1]["position"] if len(rows) > limit else None


@cache
def _select_lines(*, in_state: bool, reviewed: bool, unsettled: bool) -> Select[Any]:
    """Return a statement with the values `job`, `after`, `state`, `limit` and perhaps `unsettled`.

    Building it takes longer than reading a hundred images, so each kind is built once.
    """
    # One statement reads an image and its faces at one moment.
    face = func.json_build_array(
        FaceRow.id,
        FaceRow.x,
        FaceRow.y,
        FaceRow.width,
        FaceRow.height,
        FaceRow.confidence,
        FaceRow.attributes,
    )
    faces = (
        select(func.json_agg(aggregate_order_by(face, FaceRow.position)))
        .where(FaceRow.image_id == Image.id)
        .correlate(Image)
        .scalar_subquery()
    )
    first = aliased(Image)
    repeated = (
        select(first.name)
        .where(first.job_id == Image.job_id, first.position == Image.duplicate_of)
        .correlate(Image)
        .scalar_subquery()
    )
    lines = select(
        Image.position,
        Image.name,
        Image.state,
        Image.error_code,
        Image.error_message,
        Image.model_version,
        Image.width,
        Image.height,
        Image.incomplete,
        repeated.label("duplicate_of"),
        faces.label("faces"),
        reviews_of_image().label("reviews"),
    ).where(Image.job_id == bindparam("job"))
    if reviewed:
        seen = select(Review.image_id).where(
            Review.job_id == bindparam("job"), Review.withdrawn_at.is_(None)
        )
        lines = lines.where(Image.id.in_(seen))
    if unsettled:
        given = bindparam("unsettled", type_=ARRAY(Integer))
        lines = lines.where(or_(Image.position == func.any(given), Image.duplicate_of.is_not(None)))
    after = bindparam("after", type_=Integer)
    if in_state:
        # The same rows as `state = ...` in the same order, written so that only the index by state
        # fits. Otherwise PostgreSQL walks through all images of the job, whatever their state.
        wanted = bindparam("state", type_=Text)
        lines = lines.where(
            tuple_(Image.state, Image.position) > tuple_(wanted, after), Image.state <= wanted
        ).order_by(Image.state, Image.position)
    else:
        lines = lines.where(Image.position > after).order_by(Image.position)
    return lines.limit(bindparam("limit"))


def _line(row: Row[Any]) -> dict[str, Any]:
    values: tuple[Any, ...] = tuple(row)
    _, name, state, code, message, model, width, height, *others = values
    incomplete, repeats, faces, reviews = others
    return image_line(
        name=name,
        state=state,
        error=None if code is None else (code, message or ""),
        model=model,
        width=width,
        height=height,
        faces=review_faces(
            [
                (face_id, Face((x, y, width, height), confidence, attributes))
                for face_id, x, y, width, height, confidence, attributes in faces or ()
            ],
            reviews,
        ),
        incomplete=incomplete,
        duplicate_of=repeats,
    )
