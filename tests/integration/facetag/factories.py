"""What happens to jobs in these tests, told with as few words as possible."""

import uuid

from sqlalchemy import func, select, text, update

from facetag import jobs
from facetag.db.engine import transaction
from facetag.db.tables import FaceRow, Image, ImageState, Job
from facetag.jobs import NewImage

TENANT = "local"
BUCKET = "facetag"


def new_images(count, start=0):
    return [
        NewImage(f"tenants/local/images/{number:06}.jpg", f"sub/photo {number}.jpg", BUCKET)
        for number in range(start, start + count)
    ]


def add_job(sessions, images=3, **arguments):
    """Create a job of so many images, or of these; returns its id."""
    if isinstance(images, int):
        images = new_images(images)
    with transaction(sessions) as session:
        job, _ = jobs.create_job(session, tenant_id=TENANT, images=images, **arguments)
        return job.id


def read_job(sessions, job_id):
    with transaction(sessions) as session:
        return jobs.get_job(session, job_id, tenant_id=TENANT)


def start_images(session, job_id, positions):
    """Claim images the way a worker does: the images first, then the counts."""
    where = (Image.job_id == job_id, Image.position.in_(positions))
    session.execute(
        update(Image).where(*where).values(state="running", claim_token=uuid.uuid4(), suspicion=1)
    )
    moved = len(positions)
    jobs.move_counts(session, job_id, {ImageState.QUEUED: -moved, ImageState.RUNNING: moved})
    session.execute(
        update(Job)
        .where(Job.id == job_id, Job.state == "queued")
        .values(state="running", started_at=func.now())
    )


def end_images(session, job_id, states):
    """End running images, `{position: state}`, and close the job if these were its last."""
    for position, state in states.items():
        failed = state == ImageState.FAILED
        session.execute(
            update(Image)
            .where(Image.job_id == job_id, Image.position == position)
            .values(
                state=state,
                finished_at=func.now(),
                error_code="truncated" if failed else None,
                error_message="It ends early." if failed else None,
                width=640,
                height=480,
                model_version="v1",
                stage_ms={"fetch": 1.5},
            )
        )
        jobs.move_counts(session, job_id, {ImageState.RUNNING: -1, state: 1})
    return jobs.close_job_if_done(session, job_id)


def run_images(sessions, job_id, states):
    """Start and end images in two transactions; returns whether that closed the job."""
    with transaction(sessions) as session:
        start_images(session, job_id, list(states))
    with transaction(sessions) as session:
        return end_images(session, job_id, states)


def add_face(session, job_id, image_position, position, **attributes):
    image_id = session.scalar(
        select(Image.id).where(Image.job_id == job_id, Image.position == image_position)
    )
    session.add(
        FaceRow(
            tenant_id=TENANT,
            image_id=image_id,
            position=position,
            x=position,
            y=2,
            width=30,
            height=40,
            confidence=0.99,
            attributes=attributes,
        )
    )


def counts_of(job):
    return {state.value: getattr(job, state.value) for state in ImageState}


def assert_counts_are_true(sessions):
    """Every job's counts are those of its rows, and add up to its total once that is known."""
    with transaction(sessions) as session:
        # Jobs and images as of one moment.
        session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        for job in session.scalars(select(Job)):
            rows = session.execute(
                text("SELECT state, count(*) FROM images WHERE job_id = :id GROUP BY state"),
                {"id": job.id},
            )
            counted = dict.fromkeys(map(str, ImageState), 0) | {row[0]: row[1] for row in rows}
            assert counts_of(job) == counted
            assert job.total in (None, sum(counted.values()))
