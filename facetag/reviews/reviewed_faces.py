"""Put what reviewers say into the faces of an image's line of the results."""

from collections import defaultdict
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from facetag.db.tables import Image, Review
from facetag.results.image_lines import Face
from facetag.reviews.missed_faces import group_by_face
from facetag.reviews.review_records import newest_per_reviewer, opinion_of
from facetag.reviews.verdicts import Verdict, settle

FIELDS = (
    "face_id",
    "id",
    "reviewer",
    "verdict",
    "age_low",
    "age_high",
    "gender",
    "race",
    "x",
    "y",
    "width",
    "height",
)


def reviews_of_image() -> Any:
    """Return the subquery of an image's reviews as JSON, for a statement that reads images."""
    fields = func.json_build_array(*(getattr(Review, name) for name in FIELDS))
    return (
        select(func.json_agg(aggregate_order_by(fields, Review.id)))
        .where(Review.image_id == Image.id, Review.withdrawn_at.is_(None))
        .correlate(Image)
        .scalar_subquery()
    )


def review_faces(faces: Sequence[tuple[int, Face]], reviews: Sequence[Any] | None) -> list[Face]:
    """Return the faces that count, given with their ids: without false ones, with missed ones."""
    if not reviews:
        return [face for _, face in faces]
    rows = [SimpleNamespace(**dict(zip(FIELDS, values, strict=True))) for values in reviews]
    of_face: defaultdict[int, list[Any]] = defaultdict(list)
    for row in rows:
        if row.face_id is not None:
            of_face[row.face_id].append(row)
    settled = [_settled(face, of_face.get(face_id, [])) for face_id, face in faces]
    drawn = group_by_face(row for row in rows if row.verdict == Verdict.MISSED)
    missed = [_missed(found) for found in drawn]
    return [face for face in (*settled, *missed) if face is not None]


def _settled(face: Face, rows: Sequence[Any]) -> Face | None:
    if not rows:
        return face
    opinions = [opinion_of(row) for row in newest_per_reviewer(rows)]
    attributes = settle(face.attributes, opinions)
    return None if attributes is None else Face(face.box, face.confidence, attributes)


def _missed(rows: Sequence[Any]) -> Face | None:
    newest = rows[-1]
    attributes = settle({}, [opinion_of(row) for row in newest_per_reviewer(rows)])
    box = (newest.x, newest.y, newest.width, newest.height)
    return None if attributes is None else Face(box, 1.0, attributes)
