import hashlib
import threading
import time

import psycopg
import pytest
from sqlalchemy import make_url, text

from facetag import jobs
from facetag.db.engine import transaction
from facetag.storage.client import make_storage
from tests.integration.facetag.factories import TENANT


@pytest.fixture
def cancel_meanwhile(sessions):
    """Cancel a job in a thread, and return once that waits for somebody's lock."""

    def cancel(job_id):
        with transaction(sessions) as session:
            jobs.cancel_job(session, job_id, tenant_id=TENANT)

    def start(job_id):
        thread = threading.Thread(target=cancel, args=(job_id,))
        thread.start()
        waiting = text("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        give_up = time.monotonic() + 30
        while time.monotonic() < give_up:
            with transaction(sessions) as session:
                if session.scalar(waiting):
                    return thread
        raise AssertionError("the cancel waits for nobody")

    return start


@pytest.fixture
def storage(servers, request):
    """A bucket of this test's own."""
    name = f"test-{hashlib.sha256(request.node.name.encode()).hexdigest()[:20]}"
    storage = make_storage(servers.model_copy(update={"s3_bucket": name}))
    storage.ensure_bucket()
    return storage


@pytest.fixture
def empty_database(database):
    """URL of a database without any table."""
    url = make_url(database).set(drivername="postgresql")
    name = f"{url.database}_empty"
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield url.set(database=name).render_as_string(hide_password=False)
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
