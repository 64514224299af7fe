"""Rows as answers: the job that is now, and the job as it was first answered."""

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
        error=job.error,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )


def show_new_job(job: Job) -> JobAnswer:
    """Return the job as the request that made it was answered, whatever came of it since.

    An idempotency key promises the first answer again, not the latest news.
    """
    listed = job.source_prefix is not None
    total = None if listed else job.total
    return JobAnswer(
        id=job.id,
        state=JobState.LISTING if listed else JobState.QUEUED,
        name=job.name,
        total=total,
        counts=Counts(queued=total or 0, running=0, tagged=0, no_face=0, failed=0, cancelled=0),
        error=None,
        created_at=job.created_at,
        started_at=None,
        finished_at=None,
    )
