import time

import pytest

from facetag.db import presence
from facetag.db.engine import SWEEPER_APPLICATION, make_engine, make_sessions, transaction
from facetag.db.presence import seconds_since_heard

pytestmark = pytest.mark.integration


@pytest.fixture
def sweeper(settings):
    """A session over a connection as a sweeper has it."""
    engine = make_engine(settings, pool_size=1, application=SWEEPER_APPLICATION)
    with make_sessions(engine)() as session:
        yield session
    engine.dispose()


def test_a_sweeper_is_alive_while_it_speaks_to_the_database(facetag, sweeper, monkeypatch):
    nobody = facetag("alive", "sweeper")
    assert nobody.exit_code == 1
    assert "No sweeper" in nobody.stderr

    sweeper.connection()
    assert facetag("alive", "sweeper").exit_code == 0
    assert facetag("alive", "worker").exit_code == 1

    monkeypatch.setattr(presence, "QUIET_S", 0.2)
    time.sleep(0.3)
    silent = facetag("alive", "sweeper")
    assert silent.exit_code == 1
    assert "spoke to the database 0 s ago" in silent.stderr


def test_the_process_that_spoke_last_counts(sessions, settings):
    engine = make_engine(settings, pool_size=2, application=SWEEPER_APPLICATION)
    both = make_sessions(engine)
    with both() as first, both() as second:
        first.connection()
        time.sleep(0.3)
        second.connection()
        with transaction(sessions) as session:
            quiet_s = seconds_since_heard(session, SWEEPER_APPLICATION)
    engine.dispose()
    assert quiet_s is not None
    assert quiet_s < 0.25
