"""Summarise a job's reviews: agreement, differences from the network, and a sample's shares."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from facetag.age_bands import AGE_LABELS, band_label
from facetag.db.tables import FaceRow, Review
from facetag.heads import AGE, GENDER, RACE, is_counted
from facetag.reviews.agreement import clustered_share, cohen_kappa, wilson
from facetag.reviews.missed_faces import group_by_face
from facetag.reviews.review_queue import SAMPLED
from facetag.reviews.review_records import newest_per_reviewer, opinion_of
from facetag.reviews.verdicts import Opinion, Verdict, label_of, settle

COMPARED = (GENDER, RACE)

Faces = Mapping[int, tuple[Mapping[str, Any], list[Opinion]]]
"""The attributes and the opinions that count of each reviewed face, by its id."""


def summarise(
    session: Session, job_id: uuid.UUID, *, tenant_id: str, sample: int
) -> dict[str, Any]:
    """Return the reviewers, their agreement, where they differ from the network, and the sample."""
    faces = _read_reviewed(session, job_id, tenant_id)
    return {
        "reviewers": _count_by_reviewer(faces),
        "agreement": agreements(opinions for _, opinions in faces.values()),
        "differences": differences(faces.values()),
        "sample": _sample(session, job_id, tenant_id, sample),
    }


def agreements(opinions_of_faces: Iterable[list[Opinion]]) -> list[dict[str, Any]]:
    """Return Cohen's kappa of each two reviewers on gender and race, where both gave a label."""
    pairs: defaultdict[tuple[str, str, str], list[tuple[str, str]]] = defaultdict(list)
    for opinions in opinions_of_faces:
        ordered = sorted(opinions, key=lambda one: one.reviewer)
        for one, other in combinations(ordered, 2):
            for head in COMPARED:
                labels = (getattr(one, head.name), getattr(other, head.name))
                if None not in labels:
                    pairs[one.reviewer, other.reviewer, head.name].append(labels)
    return [
        {
            "reviewers": [first, second],
            "head": head,
            "faces": len(labels),
            "kappa": None if (kappa := cohen_kappa(labels)) is None else round(kappa, 3),
        }
        for (first, second, head), labels in sorted(pairs.items())
    ]


def differences(
    faces: Iterable[tuple[Mapping[str, Any], list[Opinion]]],
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return, by head and the network's label, how many reviewed faces got another label."""
    counted: dict[str, defaultdict[str, list[int]]] = {
        head.name: defaultdict(lambda: [0, 0]) for head in COMPARED
    }
    for attributes, opinions in faces:
        settled = settle(attributes, opinions)
        for head in COMPARED:
            said = label_of(attributes, head.name)
            if settled is None or said is None or head.name in settled["uncertain"]:
                continue
            counts = counted[head.name][said]
            counts[0] += 1
            counts[1] += label_of(settled, head.name) != said
    return {
        head: {label: _difference(*counts) for label, counts in sorted(labels.items())}
        for head, labels in counted.items()
    }


def _difference(reviewed: int, changed: int) -> dict[str, Any]:
    interval = wilson(changed / reviewed, reviewed)
    return {"reviewed": reviewed, "changed": changed, "interval": _rounded(interval)}


def _rounded(interval: tuple[float, float]) -> list[float]:
    return [round(end, 4) for end in interval]


def _count_by_reviewer(faces: Faces) -> dict[str, int]:
    counts: defaultdict[str, int] = defaultdict(int)
    for _, opinions in faces.values():
        for one in opinions:
            counts[one.reviewer] += 1
    return dict(sorted(counts.items()))


def _with_labels(opinion: Opinion, attributes: Mapping[str, Any]) -> Opinion:
    """Return the opinion with the network's labels where it accepted them."""
    if opinion.verdict not in (Verdict.ACCEPTED, Verdict.CORRECTED):
        return opinion
    return Opinion(
        opinion.reviewer,
        opinion.verdict,
        opinion.ages,
        opinion.gender or label_of(attributes, GENDER.name),
        opinion.race or label_of(attributes, RACE.name),
    )


def _read_reviewed(session: Session, job_id: uuid.UUID, tenant_id: str) -> Faces:
    rows = session.execute(
        select(FaceRow.id.label("face"), FaceRow.attributes, *_columns())
        .join(FaceRow, FaceRow.id == Review.face_id)
        .where(
            Review.job_id == job_id, Review.tenant_id == tenant_id, Review.withdrawn_at.is_(None)
        )
        .order_by(Review.id)
    ).all()
    grouped: defaultdict[int, list[Any]] = defaultdict(list)
    for row in rows:
        grouped[row.face].append(row)
    return {
        face: (
            found[0].attributes,
            [_with_labels(opinion_of(row), row.attributes) for row in newest_per_reviewer(found)],
        )
        for face, found in grouped.items()
    }


def _columns() -> tuple[Any, ...]:
    return (
        Review.reviewer,
        Review.verdict,
        Review.age_low,
        Review.age_high,
        Review.gender,
        Review.race,
    )


# A photo counts once everything in it was reviewed: each face, or that none was missed.
SAMPLE_PHOTOS = text(f"""
    SELECT i.id,
        count(f.id) FILTER (WHERE NOT EXISTS (
            SELECT FROM reviews AS r WHERE r.face_id = f.id AND r.withdrawn_at IS NULL)) AS open,
        count(f.id) AS faces,
        EXISTS (SELECT FROM reviews AS r WHERE r.image_id = i.id AND r.withdrawn_at IS NULL) AS seen
    FROM images AS i LEFT JOIN faces AS f ON f.image_id = i.id
    WHERE i.tenant_id = :tenant AND {SAMPLED}
    GROUP BY i.id
""")  # noqa: S608 - built from constants


def _sample(session: Session, job_id: uuid.UUID, tenant_id: str, size: int) -> dict[str, Any]:
    photos = session.execute(
        SAMPLE_PHOTOS, {"job": job_id, "tenant": tenant_id, "sample": size}
    ).all()
    done = [photo.id for photo in photos if photo.open == 0 and photo.seen]
    faces = _settled_faces(session, done)
    return {
        "photos": len(photos),
        "reviewed": len(done),
        "shares": {
            **{head.name: _shares(head.name, head.labels, done, faces) for head in COMPARED},
            AGE.name: _shares(AGE.name, AGE_LABELS, done, faces),
        },
    }


def _settled_faces(session: Session, images: list[int]) -> dict[int, list[dict[str, Any]]]:
    """Return the settled faces of images that surely are some, missed ones included, by image."""
    rows = session.execute(
        select(
            Review.image_id,
            Review.face_id,
            FaceRow.attributes,
            *_columns(),
            *(Review.x, Review.y, Review.width, Review.height),
        )
        .outerjoin(FaceRow, FaceRow.id == Review.face_id)
        .where(Review.image_id.in_(images), Review.withdrawn_at.is_(None))
        .order_by(Review.id)
    ).all()
    faces: defaultdict[tuple[int, int], list[Any]] = defaultdict(list)
    drawn: defaultdict[int, list[Any]] = defaultdict(list)
    for row in rows:
        if row.face_id is not None:
            faces[row.image_id, row.face_id].append(row)
        elif row.verdict == Verdict.MISSED:
            drawn[row.image_id].append(row)
    of_image = [(image, found) for (image, _), found in faces.items()]
    of_image += [(image, found) for image, some in drawn.items() for found in group_by_face(some)]
    settled: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for image, found in of_image:
        opinions = [opinion_of(row) for row in newest_per_reviewer(found)]
        face = settle(found[0].attributes or {}, opinions)
        if face is not None and is_counted(face):
            settled[image].append(face)
    return settled


def _shares(
    head: str, labels: Iterable[str], images: list[int], faces: Mapping[int, list[dict[str, Any]]]
) -> dict[str, Any]:
    known = [
        [
            band_label(label) if head == AGE.name else label
            for face in faces.get(image, ())
            # A missed face may have been drawn without a label.
            if head not in face["uncertain"] and (label := label_of(face, head)) is not None
        ]
        for image in images
    ]
    return {
        label: _share([(found.count(label), len(found)) for found in known]) for label in labels
    }


def _share(photos: list[tuple[int, int]]) -> dict[str, Any]:
    share, interval = clustered_share(photos)
    return {"share": round(share, 4), "interval": _rounded(interval)}
