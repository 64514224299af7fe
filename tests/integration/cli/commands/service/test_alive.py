import time

import pytest

from facetag.db import presence
from facetag.db.engine import WORKER_APPLICATION, make_engine, make_sessions, transaction
from facetag.db.presence import record_round, seconds_since_heard, seconds_since_round

pytestmark = pytest.mark.integration


def sweep(sessions, **how):
    with transaction(sessions) as session:
        record_round(session, **how)


def test_a_sweeper_is_alive_while_it_ends_rounds(facetag, sessions, monkeypatch):
    nobody = facetag("alive", "sweeper")
    assert nobody.exit_code == 1
    assert "No sweeper" in nobody.stderr

    sweep(sessions, stood_by=False)
    assert facetag("alive", "sweeper").exit_code == 0
    assert facetag("alive", "worker").exit_code == 1

    monkeypatch.setattr(presence, "QUIET_S", 0.2)
    time.sleep(0.3)
    silent = facetag("alive", "sweeper")
    assert silent.exit_code == 1
    assert "The sweeper ended a round" in silent.stderr


def test_a_sweeper_that_stands_by_is_alive_and_sweeps_nothing(facetag, sessions, monkeypatch):
    sweep(sessions, stood_by=True)
    assert facetag("alive", "sweeper").exit_code == 0
    with transaction(sessions) as session:
        assert seconds_since_round(session) is None
    monkeypatch.setattr(presence.socket, "gethostname", lambda: "elsewhere")
    assert facetag("alive", "sweeper").exit_code == 1


def test_the_worker_that_spoke_last_counts(sessions, settings):
    engine = make_engine(settings, pool_size=2, application=WORKER_APPLICATION)
    both = make_sessions(engine)
    with both() as first, both() as second:
        first.connection()
        time.sleep(0.3)
        second.connection()
        with transaction(sessions) as session:
            quiet_s = seconds_since_heard(session, WORKER_APPLICATION)
    engine.dispose()
    assert quiet_s is not None
    assert quiet_s < 0.25
