"""Tables are written anew after a deletion, whoever is at work, and no byte of the rows stays."""

from contextlib import contextmanager

import pytest
from sqlalchemy import make_url, text

from facetag import disk_space
from facetag.access.audit import record
from facetag.db.engine import transaction
from facetag.db.presence import SWEEPER_LOCK
from facetag.db.tables import ImageState
from facetag.erasure import freed_rows
from facetag.erasure.freed_rows import TableRewriting, is_overdue
from facetag.erasure.purge import purge_job
from facetag.jobs import NewImage
from facetag.jobs.predictions import forget_prediction
from tests.integration.facetag.factories import TENANT, add_job, run_images

pytestmark = pytest.mark.integration

NAME = "zebra on the beach at Whitby.png"


def change(sessions, statement):
    with transaction(sessions) as session:
        session.execute(text(statement))


def pass_time(sessions, minutes):
    """Let the deletions so far, and the last turn, have been so much earlier."""
    for table, column in (("audit_lines", "created_at"), ("program_rounds", "ended_at")):
        change(sessions, f"UPDATE {table} SET {column} = {column} - interval '{minutes} minutes'")


def delete_a_job(sessions):
    """Delete a job of NAME; its file holds its row before and after."""
    job_id = add_job(sessions, [NewImage("tenants/local/images/a", NAME, "facetag")])
    run_images(sessions, job_id, {0: ImageState.NO_FACE})
    with transaction(sessions) as session:
        purge_job(session, job_id, tenant_id=TENANT, bucket="facetag", actor="a")
    change(sessions, "DELETE FROM tombstones")


@contextmanager
def other_transaction(sessions, *statements):
    """Keep a transaction open that sees what is there now."""
    with sessions() as session:
        session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        for statement in statements:
            session.execute(text(statement))
        yield session


@pytest.fixture
def holds_name(sessions, local_stack):
    """Whether any file of this test's database holds NAME."""

    def search():
        with sessions.kw["bind"].connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("CHECKPOINT"))
            name = make_url(str(connection.engine.url)).database
            oid = connection.scalar(
                text("SELECT oid FROM pg_database WHERE datname = :name"), {"name": name}
            )
        files = (local_stack.folders.data_dir / "postgresql" / "base" / str(oid)).iterdir()
        return any(NAME.encode() in file.read_bytes() for file in files if file.is_file())

    return search


@pytest.fixture
def step(sessions, tmp_path):
    """A sweeper's turn, as if it had begun this moment."""
    return lambda: TableRewriting(tmp_path).step(sessions)


def test_tables_are_written_anew_at_once_if_no_job_is_open_and_then_not_for_an_hour(
    sessions, tmp_path
):
    rewriting = TableRewriting(tmp_path)
    assert not rewriting.step(sessions)
    with transaction(sessions) as session:
        record(session, "job deleted", tenant_id="local", actor="a", subject="x", number=1)
    assert rewriting.step(sessions)
    pass_time(sessions, 61)
    change(sessions, "UPDATE audit_lines SET created_at = now()")
    assert not rewriting.step(sessions), "its turn was a moment ago"
    assert TableRewriting(tmp_path).step(sessions)
    assert not TableRewriting(tmp_path).step(sessions), "nothing was deleted since"


def test_open_jobs_and_deletions_that_go_on_put_it_off_for_half_an_hour_and_no_longer(
    sessions, step, holds_name
):
    delete_a_job(sessions)
    open_job = add_job(sessions)
    change(sessions, "INSERT INTO tombstones (tenant_id, job_id, key) SELECT '', id, '' FROM jobs")
    assert not step()
    pass_time(sessions, 29)
    assert not step()
    assert holds_name()
    pass_time(sessions, 2)
    assert step()
    assert not holds_name()
    assert not step()
    pass_time(sessions, 61)
    change(
        sessions,
        f"UPDATE jobs SET deleted_at = now() - interval '1 hour' WHERE id = '{open_job}';"
        "UPDATE audit_lines SET created_at = now() - interval '1 hour'",
    )
    assert step()
    pass_time(sessions, 61)
    assert step(), "that deletion had not come to its end"


def test_keys_of_promised_photos_leave_the_files_too(sessions, step, holds_name):
    change(sessions, f"INSERT INTO upload_promises VALUES ('{NAME}', 'local', now())")
    change(sessions, "DELETE FROM upload_promises")
    assert holds_name()
    with transaction(sessions) as session:
        record(session, "objects erased", tenant_id="local", actor="a", subject="x", number=1)
    assert step()
    assert not holds_name()


def test_rows_that_a_transaction_may_still_see_are_not_copied(
    sessions, step, holds_name, monkeypatch
):
    monkeypatch.setattr(freed_rows, "SNAPSHOT_PATIENCE_S", 0.1)
    with other_transaction(sessions, "SELECT pg_current_xact_id()") as earlier:
        delete_a_job(sessions)
        assert not step()
        # What begins now must keep all that an earlier one keeps, even after that one has ended.
        with other_transaction(sessions, "SELECT 1"):
            earlier.rollback()
            assert not step()
            assert holds_name()
    assert step()
    assert not holds_name()


def test_a_table_in_use_is_left_after_a_moment_and_not_tried_again_at_once(sessions, tmp_path):
    delete_a_job(sessions)
    rewriting = TableRewriting(tmp_path)
    with transaction(sessions) as session:
        session.execute(text("LOCK TABLE images IN ACCESS SHARE MODE"))
        assert not rewriting.step(sessions)
    assert not rewriting.step(sessions)
    assert TableRewriting(tmp_path).step(sessions)


def test_one_sweeper_writes_and_workers_get_the_time_back(sessions, step):
    delete_a_job(sessions)
    job_id = add_job(sessions)
    change(
        sessions,
        "UPDATE images SET state = 'running', lease_until = '2030-01-01 12:00' WHERE position = 0",
    )
    pass_time(sessions, 31)
    with transaction(sessions) as other:
        other.execute(text(f"SELECT pg_advisory_xact_lock({SWEEPER_LOCK})"))
        assert not step()
    assert step()
    with transaction(sessions) as session:
        later = "SELECT lease_until > '2030-01-01 12:00' FROM images WHERE job_id = :id"
        assert session.scalars(text(later), {"id": job_id}).all().count(True) == 1
        # Nor do the limits of that connection come back.
        assert session.scalar(text("SHOW statement_timeout")) == "1min"


def test_predictions_which_no_audit_line_tells_of_go_within_a_day(sessions, tmp_path, holds_name):
    job_id = add_job(sessions, [NewImage("tenants/local/predict/a", NAME, "facetag")])
    rewriting = TableRewriting(tmp_path)
    forget_prediction(sessions, job_id, tenant_id=TENANT)
    # Otherwise PostgreSQL counts a little later.
    change(sessions, "SELECT pg_stat_force_next_flush()")
    change(sessions, "INSERT INTO program_rounds VALUES ('rewriting', now())")
    pass_time(sessions, 23 * 60)
    assert not rewriting.step(sessions)
    assert holds_name()
    pass_time(sessions, 61)
    assert rewriting.step(sessions)
    assert not holds_name()


def test_without_room_nothing_is_written_and_the_sweeper_goes_on(sessions, tmp_path, monkeypatch):
    delete_a_job(sessions)
    (tmp_path / "postgresql").mkdir()
    rewriting = TableRewriting(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(disk_space, "free_space", lambda _: disk_space.SPACE_TO_WORK)
        assert not rewriting.step(sessions)
    assert not rewriting.step(sessions), "it rests"
    with transaction(sessions) as session:
        assert not is_overdue(session)
    pass_time(sessions, 24 * 60 + 1)
    with transaction(sessions) as session:
        assert is_overdue(session)
    assert TableRewriting(tmp_path).step(sessions)
