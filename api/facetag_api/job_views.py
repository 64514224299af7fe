"""Turn a job's row into an answer: as the job is now, or as it was first answered."""

from facetag.db.tables import ImageState, Job, JobState
from facetag_api.schemas import Counts, JobAnswer


def show_job(job: Job) -> JobAnswer:
    """Return the job as it is now."""
    return JobAnswer(
        id=job.id,
        state=JobState(job.state),
        name=job.name,
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
        total=total,
        counts=Counts(**known | {"queued": (total or 0) - reused}),
        reused=reused,
        error=None,
        created_at=job.created_at,
        started_at=None,
        finished_at=job.finished_at if done else None,
    )
