"""Count the faces of a job that keeps no result: neither faces nor, once it ended, photos."""

import uuid
from collections import Counter
from collections.abc import Iterable
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from facetag.db.tables import Job
from facetag.errors import JobStateConflict
from facetag.heads import is_counted
from facetag.results.collection_counts import cell_of
from facetag.results.image_lines import Face

EMPTY: dict[str, Any] = {"faces": 0, "possible": 0, "groups": {}}
"""The counts of a new job: faces, faces that may be none, and faces by `gender|race|age band`, of
which each is empty where it was not labelled."""

COUNTS_ONLY = (
    "This job keeps counts only: they are in its `aggregate`, and `facetag status JOB` prints them."
)


def add_faces(session: Session, job_id: uuid.UUID, faces: Iterable[Face]) -> None:
    """Add faces to a job's counts; the caller holds the locks of their images."""
    before = session.scalar(select(Job.aggregate).where(Job.id == job_id).with_for_update())
    counts, groups = dict(before or EMPTY), Counter((before or EMPTY)["groups"])
    for face in (face.to_json() for face in faces):
        if is_counted(face):
            counts["faces"] += 1
            groups["|".join(label or "" for label in cell_of(face))] += 1
        else:
            counts["possible"] += 1
    counts["groups"] = dict(sorted(groups.items()))
    session.execute(
        update(Job).where(Job.id == job_id).values(aggregate=counts),
        execution_options={"synchronize_session": False},
    )


def require_results(job: Job) -> None:
    """Raise JobStateConflict if a job keeps counts only."""
    if job.aggregate is not None:
        raise JobStateConflict(COUNTS_ONLY)
