"""Tables are written anew after a deletion, once, and only where nobody would wait for it."""

import pytest
from sqlalchemy import text

from facetag import jobs
from facetag.access.audit import record
from facetag.db.engine import transaction
from facetag.erasure import freed_rows
from facetag.erasure.freed_rows import TableRewriting, rewrite_if_due
from facetag.errors import DatabaseUnavailable
from facetag.jobs import NewImage

pytestmark = pytest.mark.integration


def change(sessions, statement):
    with transaction(sessions) as session:
        session.execute(text(statement))


def test_tables_are_written_anew_once_after_a_deletion_while_no_job_is_open(sessions, monkeypatch):
    assert not rewrite_if_due(sessions)
    with transaction(sessions) as session:
        record(session, "job deleted", tenant_id="local", actor="a", subject="x", number=1)
        image = NewImage("tenants/local/images/a", "a", "facetag")
        jobs.create_job(session, tenant_id="local", images=[image])
    assert not rewrite_if_due(sessions), "a job is open"
    change(sessions, "UPDATE jobs SET finished_at = now()")
    with monkeypatch.context() as patch:
        patch.setattr(freed_rows, "MAX_BYTES", 0)
        assert not rewrite_if_due(sessions), "the tables are too large"
    change(sessions, "INSERT INTO tombstones (tenant_id, job_id, key) SELECT '', id, '' FROM jobs")
    assert not rewrite_if_due(sessions), "an object is still there"
    change(sessions, "DELETE FROM tombstones")
    assert rewrite_if_due(sessions)
    assert not rewrite_if_due(sessions), "nothing was deleted since"
    change(sessions, "UPDATE audit_lines SET created_at = now() + interval '1 minute'")
    assert not rewrite_if_due(sessions), "it was done a moment ago"
    change(sessions, "UPDATE program_rounds SET ended_at = now() - interval '2 hours'")
    assert rewrite_if_due(sessions)


def test_a_failure_does_not_stop_the_sweeper_and_is_not_repeated_at_once(sessions, monkeypatch):
    tries = []

    def fail(_sessions):
        tries.append(1)
        raise DatabaseUnavailable("no space left on device")

    monkeypatch.setattr(freed_rows, "rewrite_if_due", fail)
    rewriting = TableRewriting()
    assert not rewriting.step(sessions)
    assert not rewriting.step(sessions)
    assert tries == [1]
