"""A job that was just created is cancelled at once, although no statistics know its rows."""

import time

import pytest
from sqlalchemy import text

from facetag import jobs
from facetag.db.engine import transaction
from facetag.jobs import NewImage

pytestmark = pytest.mark.integration

IMAGES = 100_000
PROMISED_S = 3.0
"""The one clock in these tests: it is what users are promised."""


def make_job(session, number):
    images = [
        NewImage(f"tenants/local/images/{n:06}.jpg", f"{n}", "facetag") for n in range(number)
    ]
    return jobs.create_job(session, tenant_id="local", images=images)[0]


def test_a_fresh_job_of_100_000_images_is_cancelled_at_once(sessions):
    with transaction(sessions) as session:
        # As where the statistics have not caught up: they know one finished job and no queue.
        session.execute(text("ALTER TABLE images SET (autovacuum_enabled = false)"))
        make_job(session, 2_000)
        session.execute(text("UPDATE images SET state = 'tagged'"))
        session.execute(text("ANALYZE images"))
    with transaction(sessions) as session:
        job = make_job(session, IMAGES)
    began = time.monotonic()
    with transaction(sessions) as session:
        cancelled = jobs.cancel_job(session, job.id, tenant_id="local")
    assert time.monotonic() - began < PROMISED_S
    assert cancelled.state == "cancelled"
