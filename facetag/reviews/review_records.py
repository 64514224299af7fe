"""Record a person's word on a face, and take it back."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ScalarSelect, func, select, update
from sqlalchemy.orm import Session

from facetag.db.tables import FaceRow, Image, ImageState, Job, Review
from facetag.errors import ReviewTargetNotFound
from facetag.reviews.missed_faces import Box, clip_drawn_box
from facetag.reviews.verdicts import Opinion, Verdict, labels_of

LABELLED = (ImageState.TAGGED, ImageState.NO_FACE)
"""States of images that there is something to say of."""


@dataclass(frozen=True, slots=True)
class NewReview:
    """Hold a review that is to be recorded: of face `face` of the job's image at `position`.

    `face` is None for a missed face, whose `box` is given, and for a photo without faces in which
    none was missed.
    """

    position: int
    face: int | None
    opinion: Opinion
    box: Box | None = None


def add_review(
    session: Session, job_id: uuid.UUID, new: NewReview, *, tenant_id: str, key_id: str
) -> int:
    """Record a review and return its id; its box is clipped to the image.

    The reviewer's earlier review of the same face stays in the table and no longer counts. Raises
    ReviewTargetNotFound, also for an image without a result, and ReviewInvalid for a box outside.
    """
    image, face = _find_target(session, job_id, new, tenant_id)
    low, high = new.opinion.ages or (None, None)
    box = None if new.box is None else clip_drawn_box(new.box, image.width, image.height)
    x, y, width, height = box or (None, None, None, None)
    review = Review(
        tenant_id=tenant_id,
        job_id=job_id,
        image_id=image.id,
        face_id=None if face is None else face.id,
        reviewer=new.opinion.reviewer,
        key_id=key_id,
        verdict=new.opinion.verdict.value,
        age_low=low,
        age_high=high,
        gender=new.opinion.gender,
        race=new.opinion.race,
        x=x,
        y=y,
        width=width,
        height=height,
        said={} if face is None else labels_of(face.attributes),
    )
    session.add(review)
    session.flush()
    return review.id


def withdraw_review(session: Session, job_id: uuid.UUID, review_id: int, *, tenant_id: str) -> None:
    """Undo a review; the one before it counts again. Raises ReviewTargetNotFound."""
    withdrawn = session.scalar(
        update(Review)
        .where(
            Review.id == review_id,
            Review.job_id == _undeleted(job_id),
            Review.tenant_id == tenant_id,
            Review.withdrawn_at.is_(None),
        )
        .values(withdrawn_at=func.now())
        .returning(Review.id),
        execution_options={"synchronize_session": False},
    )
    if withdrawn is None:
        raise ReviewTargetNotFound("This review was withdrawn already, or there is none.")


def newest_per_reviewer(rows: Sequence[Any]) -> list[Any]:
    """Return the rows of one face that count: each reviewer's newest; rows are in order of id."""
    newest = {row.reviewer: row for row in rows}
    return list(newest.values())


def opinion_of(row: Any) -> Opinion:
    """Return the opinion in a row of the table."""
    ages = None if row.age_low is None else (row.age_low, row.age_high)
    return Opinion(row.reviewer, Verdict(row.verdict), ages, row.gender, row.race)


def _undeleted(job_id: uuid.UUID) -> ScalarSelect[uuid.UUID]:
    return select(Job.id).where(Job.id == job_id, Job.deleted_at.is_(None)).scalar_subquery()


def _find_target(
    session: Session, job_id: uuid.UUID, new: NewReview, tenant_id: str
) -> tuple[Any, FaceRow | None]:
    """Return the image's id, state, width and height, and the face; none is deleted meanwhile."""
    image = session.execute(
        select(Image.id, Image.state, Image.width, Image.height)
        .where(
            Image.job_id == _undeleted(job_id),
            Image.position == new.position,
            Image.tenant_id == tenant_id,
        )
        .with_for_update(read=True, key_share=True)
    ).one_or_none()
    if image is None:
        raise ReviewTargetNotFound(f"The job has no image at position {new.position}.")
    if image.state not in LABELLED:
        raise ReviewTargetNotFound(
            f"The image at {new.position} has no result to review: it is {image.state}."
        )
    if new.face is None:
        return image, None
    face = session.scalar(
        select(FaceRow).where(FaceRow.image_id == image.id, FaceRow.position == new.face)
    )
    if face is None:
        raise ReviewTargetNotFound(f"The image at {new.position} has no face {new.face}.")
    return image, face
