"""Choose the faces of a job that a reviewer sees next."""

import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session


class ReviewOrder(StrEnum):
    """Which faces come first."""

    DOUBT = "doubt"
    """Those of whose labels the network is least sure."""
    DISAGREEMENT = "disagreement"
    """Those that another job's network labels differently; others are left out."""
    PLACE = "place"
    """In the order of the job."""
    SAMPLE = "sample"
    """All faces of a random sample of photos; photos without faces are shown too."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Hold what the queue is made of; None does not restrict it."""

    order: ReviewOrder = ReviewOrder.DOUBT
    against: uuid.UUID | None = None
    sample: int = 100
    gender: str | None = None
    race: str | None = None
    ages: tuple[int, int] | None = None
    position: int | None = None
    """All faces of one image, which is shown also if it has none."""


DOUBT = """
    least(coalesce((f.attributes #>> '{gender,probability}')::float, 1),
          coalesce((f.attributes -> 'race' -> 'probabilities'
                    ->> (f.attributes #>> '{race,label}'))::float, 1))
"""
DIFFERENCES = """
    (f.attributes #>> '{gender,label}' IS DISTINCT FROM g.attributes #>> '{gender,label}')::int
    + (f.attributes #>> '{race,label}' IS DISTINCT FROM g.attributes #>> '{race,label}')::int
    + coalesce(abs((f.attributes ->> 'age')::float - (g.attributes ->> 'age')::float) >= 10,
               false)::int
"""
# A job may name a photo several times: the first that has this face answers for all.
OTHERS = """
    CROSS JOIN LATERAL (
        SELECT o.attributes FROM jobs AS compared
        JOIN images AS j ON j.job_id = compared.id AND j.tenant_id = :tenant
            AND j.bucket = i.bucket AND j.key = i.key
        JOIN faces AS o ON o.image_id = j.id
            AND (o.x, o.y, o.width, o.height) = (f.x, f.y, f.width, f.height)
        WHERE compared.id = :against AND compared.deleted_at IS NULL
        ORDER BY j.position, o.position LIMIT 1
    ) AS g
"""
OTHER_BOXES = """
    ARRAY(SELECT ARRAY[o.x, o.y, o.width, o.height] FROM faces AS o
          WHERE o.image_id = i.id AND o.id IS DISTINCT FROM f.id
          UNION ALL
          SELECT ARRAY[m.x, m.y, m.width, m.height] FROM reviews AS m
          WHERE m.image_id = i.id AND m.verdict = 'missed'
              AND m.reviewer = :reviewer AND m.withdrawn_at IS NULL)
"""
# The order by a hash of the id is random and the same for every reviewer. Of duplicates, which the
# estimated shares count once, the first may be drawn.
SAMPLED = """
    i.id IN (SELECT id FROM images WHERE job_id = :job AND state IN ('tagged', 'no_face')
             AND duplicate_of IS NULL ORDER BY md5(id::text) LIMIT :sample)
"""
READ = "i.state IN ('tagged', 'no_face')"
UNSEEN = """
    NOT EXISTS (SELECT FROM reviews AS r WHERE r.image_id = i.id
        AND r.face_id IS NOT DISTINCT FROM f.id
        AND r.reviewer = :reviewer AND r.withdrawn_at IS NULL)
"""
ORDERS = {
    ReviewOrder.DOUBT: f"{DOUBT}, i.position, f.position",
    ReviewOrder.DISAGREEMENT: f"({DIFFERENCES}) DESC, {DOUBT}, i.position, f.position",
    ReviewOrder.PLACE: "i.position, f.position",
    ReviewOrder.SAMPLE: "md5(i.id::text), f.position",
}


def next_faces(
    session: Session,
    job_id: uuid.UUID,
    choice: Choice,
    *,
    tenant_id: str,
    reviewer: str,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """Return the faces that this reviewer has not reviewed, the first ones first.

    Each has the image's `position`, `image` and size, the number of the `face` in it (None for a
    photo without faces), its box, its attributes, the boxes of the `others` in the photo (those
    that this reviewer drew included), and with DISAGREEMENT the `other` network's attributes.
    """
    sampled = choice.order == ReviewOrder.SAMPLE
    compared = choice.order == ReviewOrder.DISAGREEMENT
    faceless = sampled or choice.position is not None
    conditions = ["i.job_id = :job", "i.tenant_id = :tenant", READ, UNSEEN]
    conditions += [SAMPLED] if sampled else []
    conditions += [f"({DIFFERENCES}) > 0"] if compared else []
    wanted = {
        "gender": (choice.gender, "f.attributes #>> '{gender,label}' = :gender"),
        "race": (choice.race, "f.attributes #>> '{race,label}' = :race"),
        "low": (
            choice.ages and choice.ages[0],
            "floor((f.attributes ->> 'age')::float) BETWEEN :low AND :high",
        ),
        "position": (choice.position, "i.position = :position"),
    }
    conditions += [condition for value, condition in wanted.values() if value is not None]
    query = f"""
        SELECT i.position, i.name, i.width, i.height, f.position AS face,
            f.x, f.y, f.width AS face_width, f.height AS face_height, f.confidence, f.attributes,
            {OTHER_BOXES} AS others, {"g.attributes" if compared else "NULL"} AS other
        FROM images AS i {"LEFT JOIN" if faceless else "JOIN"} faces AS f ON f.image_id = i.id
        {OTHERS if compared else ""}
        WHERE {" AND ".join(conditions)}
        ORDER BY {ORDERS[choice.order]} LIMIT :limit
    """  # noqa: S608 - built from constants
    low, high = choice.ages or (None, None)
    values = {
        "job": job_id,
        "tenant": tenant_id,
        "reviewer": reviewer,
        "limit": limit,
        "against": choice.against,
        "sample": choice.sample,
        "gender": choice.gender,
        "race": choice.race,
        "low": low,
        "high": high,
        "position": choice.position,
    }
    return [_item(row) for row in session.execute(text(query), values)]


def _item(row: Any) -> dict[str, Any]:
    item = {
        "position": row.position,
        "image": row.name,
        "width": row.width,
        "height": row.height,
        "face": row.face,
        "others": row.others,
    }
    if row.face is None:
        return item
    box = [row.x, row.y, row.face_width, row.face_height]
    item |= {"box": box, "confidence": round(row.confidence, 4), **row.attributes}
    return item if row.other is None else item | {"other": row.other}
