"""A fleet of worker processes at one job."""

import pytest
from sqlalchemy import text

from facetag.db.engine import WORKER_APPLICATION
from facetag.db.tables import JobState
from tests.integration.worker.harness import png

pytestmark = pytest.mark.integration

WORKERS = 40
PHOTOS = 40 * WORKERS
CONNECTED = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name = :name"
)


@pytest.mark.timeout(300)
def test_forty_worker_processes_share_one_job_evenly(harness, start):
    harness.set(lease_s=60.0)
    (key,) = harness.put(png())
    start("worker", f"--concurrency={WORKERS}", "--photo-s=0.4")
    harness.wait_until(lambda: connections(harness) >= WORKERS, "the fleet is ready", 120)
    job_id = harness.post([key] * PHOTOS, announced=True)
    job = harness.wait_until_closed(job_id)
    assert job.state == JobState.COMPLETED
    shares = shares_of(harness, job_id)
    assert len(shares) == WORKERS
    fair = PHOTOS / WORKERS
    assert fair / 2 <= min(shares)
    assert max(shares) <= 2 * fair
    # More would exhaust PostgreSQL long before such a fleet does.
    assert connections(harness) <= 3 * WORKERS


def connections(harness):
    with harness.transaction() as session:
        return session.scalar(CONNECTED, {"name": WORKER_APPLICATION})


def shares_of(harness, job_id):
    with harness.transaction() as session:
        rows = session.execute(
            text("SELECT count(*) FROM images WHERE job_id = :id GROUP BY claimed_by"),
            {"id": job_id},
        )
        return [row.count for row in rows]
