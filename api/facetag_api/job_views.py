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
