"""What a large job costs: rows that statements read of it, and how it is cancelled."""

import pytest
from sqlalchemy import text

from facetag import jobs
from facetag.db.tables import ImageState, JobState
from facetag.jobs.counts import CANCEL_BATCH, CANCELLED_AT_ONCE
from facetag_worker import claims
from facetag_worker.sweeper import FIND_UNHEARD, Sweeper

pytestmark = pytest.mark.integration

IMAGES = 2 * CANCEL_BATCH + 5_000
DONE = 20_000
FEW = 200
"""A statement that finds its rows by an index reads no more of them."""

ADD_IMAGES = text("""
    INSERT INTO images (tenant_id, job_id, position, bucket, key, name)
    SELECT 'local', :job_id, i, 'source', i || '.jpg', i || '.jpg'
    FROM generate_series(1, :images - 1) AS i
""")
ROWS_READ = text("""
    SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0) FROM pg_stat_xact_user_tables
    WHERE relname = 'images'
""")


@pytest.fixture
def large_job(harness):
    """A job of many images, of which the first so many are done."""
    job_id = harness.post(["source/0.jpg"])
    with harness.transaction() as session:
        session.execute(ADD_IMAGES, {"job_id": job_id, "images": IMAGES})
        session.execute(
            text("UPDATE images SET state = 'tagged', finished_at = now() WHERE position < :done"),
            {"done": DONE},
        )
        session.execute(
            text("UPDATE jobs SET total = :all, queued = :all - :done, tagged = :done"),
            {"all": IMAGES, "done": DONE},
        )
        session.execute(text("ANALYZE images"))
    return job_id


def claim(session, job_id):
    return claims.claim_images(session, job_id=job_id, limit=16, lease_s=60, worker="w")


READERS = {
    "choose": lambda session, job_id: claims.choose_job(session),
    "waiting": claims.waiting_priority,
    "claim": claim,
    "unheard": lambda session, job_id: session.execute(
        FIND_UNHEARD, {"quiet_s": -1, "room": 16, "none_waits": True}
    ),
    "close": jobs.close_job_if_done,
    "queued": lambda session, job_id: jobs.list_images(
        session, job_id, tenant_id="local", state=ImageState.QUEUED
    ),
    "failed": lambda session, job_id: jobs.list_images(
        session, job_id, tenant_id="local", state=ImageState.FAILED, after_position=7
    ),
    "status": lambda session, job_id: jobs.get_job(session, job_id, tenant_id="local"),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_statement_does_not_read_past_what_is_done(harness, large_job, reader):
    with harness.transaction() as session:
        before = session.scalar(ROWS_READ)
        READERS[reader](session, large_job)
        assert session.scalar(ROWS_READ) - before <= FEW


def test_the_sweeper_cancels_what_a_cancel_left(harness):
    job_id = harness.post(["source/0.jpg"])
    with harness.transaction() as session:
        session.execute(ADD_IMAGES, {"job_id": job_id, "images": IMAGES})
        session.execute(text("UPDATE jobs SET total = :all, queued = :all"), {"all": IMAGES})
    with harness.transaction() as session:
        cancelled = jobs.cancel_job(session, job_id, tenant_id="local", within_s=0)
        assert cancelled.finished_at is None
    left = harness.job(job_id)
    assert (left.state, left.cancelled) == (JobState.CANCELLED, CANCELLED_AT_ONCE)
    with harness.transaction() as session:
        assert claim(session, job_id) is None
    swept = Sweeper(harness.sessions, harness.celery, harness.storage, harness.settings).sweep()
    assert swept.closed == 1
    job = harness.job(job_id)
    assert (job.queued, job.cancelled) == (0, IMAGES)
    assert job.finished_at is not None


def test_the_sweeper_closes_a_cancelled_job_of_many_labelled_images(harness):
    job_id = harness.post(["a", "b"])
    harness.change_images("state = 'tagged', finished_at = now()", job_id, where="position = 0")
    with harness.transaction() as session:
        session.execute(text("UPDATE jobs SET state = 'running', queued = 1, tagged = 1"))
        left = jobs.cancel_job(session, job_id, tenant_id="local", compared=0)
        assert (left.queued, left.cancelled, left.finished_at) == (0, 1, None)
    Sweeper(harness.sessions, harness.celery, harness.storage, harness.settings).sweep()
    assert harness.job(job_id).finished_at is not None
