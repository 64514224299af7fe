import hashlib
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import make_url, text

from facetag.db.engine import transaction
from facetag.storage.client import make_storage


@pytest.fixture
def meanwhile(sessions):
    """Do something in a thread, and return once that waits for somebody's lock.

    What is returned waits for the thread, and returns or raises what it did.
    """
    with ThreadPoolExecutor(1) as pool:

        def start(work):
            done = pool.submit(work)
            waiting = text(
                "SELECT 1 FROM pg_stat_activity "
                "WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            give_up = time.monotonic() + 30
            while time.monotonic() < give_up and not done.done():
                with transaction(sessions) as session:
                    if session.scalar(waiting):
                        return done.result
            raise AssertionError("it waits for nobody")

        yield start


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
