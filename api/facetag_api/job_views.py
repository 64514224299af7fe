"""Turn a job's row into an answer: as the job is now, or as it was first answered."""

from collections.abc import Mapping
from typing import Any

from facetag.db.tables import ImageState, Job, JobState
from facetag.heads import HEADS_BY_NAME
from facetag.jobs.aggregates import EMPTY
from facetag_api.schemas import Aggregate, Counts, JobAnswer, LabelGroup, Store


def show_job(job: Job) -> JobAnswer:
    """Return the job as it is now."""
    return JobAnswer(
        id=job.id,
        state=JobState(job.state),
        name=job.name,
        purpose=job.purpose,
        heads=_heads_of(job),
        store=_store_of(job),
        photos_deleted_at=job.photos_deleted_at,
        aggregate=_show_aggregate(job.aggregate),
        total=job.total,
        counts=Counts(**{state.value: getattr(job, state.value) for state in ImageState}),
        reused=job.reused,
        error=job.error,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )


def show_new_job(job: Job) -> JobAnswer:
    """Return the first answer to the request that created the job, whatever has happened since.

    An idempotency key promises this answer again, not the job's present state.
    """
    listed = job.source_prefix is not None
    total = None if listed else job.total
    known = dict.fromkeys(ImageState, 0) | (job.known or {})
    reused = sum(known.values())
    # An image that is known has not failed, so nobody can have retried a job of known images.
    done = reused > 0 and reused == total
    opened = JobState.LISTING if listed else JobState.QUEUED
    return JobAnswer(
        id=job.id,
        state=JobState.COMPLETED if done else opened,
        name=job.name,
        purpose=job.purpose,
        heads=_heads_of(job),
        store=_store_of(job),
        photos_deleted_at=None,
        aggregate=None if job.aggregate is None else _show_aggregate(EMPTY),
        total=total,
        counts=Counts(**known | {"queued": (total or 0) - reused}),
        reused=reused,
        error=None,
        created_at=job.created_at,
        started_at=None,
        finished_at=job.finished_at if done else None,
    )


def _heads_of(job: Job) -> list[str]:
    return list(HEADS_BY_NAME if job.heads is None else job.heads)


def _store_of(job: Job) -> Store:
    if job.aggregate is not None:
        return "aggregate"
    return "photos" if job.keep_photos else "results"


def _show_aggregate(counts: Mapping[str, Any] | None) -> Aggregate | None:
    if counts is None:
        return None
    groups = []
    for cell, faces in counts["groups"].items():
        gender, race, age = (label or None for label in cell.split("|"))
        groups.append(LabelGroup(gender=gender, race=race, age=age, faces=faces))
    return Aggregate(faces=counts["faces"], possible=counts["possible"], groups=groups)
