import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from facetag import jobs
from facetag.db.engine import transaction
from facetag.db.tables import ImageState, JobState
from facetag.errors import JobStateConflict
from facetag.jobs.counts import apply_left_counts
from tests.integration.facetag.factories import (
    add_job,
    assert_counts_are_true,
    end_images,
    read_job,
    run_images,
    start_images,
)

pytestmark = pytest.mark.integration

TAGGED, NO_FACE, FAILED = ImageState.TAGGED, ImageState.NO_FACE, ImageState.FAILED


@pytest.mark.parametrize(
    ("states", "ends"),
    [
        ([TAGGED, NO_FACE], JobState.COMPLETED),
        ([NO_FACE, NO_FACE], JobState.COMPLETED),
        ([TAGGED, FAILED], JobState.COMPLETED_WITH_ERRORS),
        ([FAILED, FAILED], JobState.FAILED),
    ],
)
def test_a_job_ends_as_its_images_did(sessions, states, ends):
    job_id = add_job(sessions, 2)
    assert run_images(sessions, job_id, {0: states[0]}) is False
    assert read_job(sessions, job_id).finished_at is None
    assert_counts_are_true(sessions)
    assert run_images(sessions, job_id, {1: states[1]}) is True
    job = read_job(sessions, job_id)
    assert job.state == ends
    assert job.started_at <= job.finished_at
    assert_counts_are_true(sessions)


def test_a_closed_job_is_not_closed_again(sessions):
    job_id = add_job(sessions, 1)
    run_images(sessions, job_id, {0: TAGGED})
    before = read_job(sessions, job_id).finished_at
    with transaction(sessions) as session:
        assert jobs.close_job_if_done(session, job_id) is False
    assert read_job(sessions, job_id).finished_at == before


def test_closing_counts_the_rows_and_not_the_counts(sessions):
    job_id = add_job(sessions, 2)
    run_images(sessions, job_id, {0: TAGGED})
    with transaction(sessions) as session:
        session.execute(text("UPDATE jobs SET queued = 0, failed = 7"))
        # One image is still queued, whatever the counts say.
        assert jobs.close_job_if_done(session, job_id) is False
        session.execute(text("UPDATE jobs SET queued = 1, failed = 7"))
    run_images(sessions, job_id, {1: NO_FACE})
    assert read_job(sessions, job_id).state == JobState.COMPLETED
    assert_counts_are_true(sessions)


def test_of_two_finishers_at_the_same_time_one_closes_the_job(sessions):
    for _ in range(10):
        job_id = add_job(sessions, 2)
        with transaction(sessions) as session:
            start_images(session, job_id, [0, 1])
        together, closed = threading.Barrier(2), []

        def finish(position, job_id=job_id, together=together, closed=closed):
            with transaction(sessions) as session:
                session.connection()
                together.wait()
                closed.append(end_images(session, job_id, {position: TAGGED}))

        threads = [threading.Thread(target=finish, args=(position,)) for position in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(closed) == [False, True]
        assert read_job(sessions, job_id).state == JobState.COMPLETED
    assert_counts_are_true(sessions)


def test_counts_that_do_not_cancel_out_are_refused(sessions):
    job_id = add_job(sessions, 1)
    with transaction(sessions) as session, pytest.raises(ValueError, match="vanish"):
        jobs.move_counts(session, job_id, {ImageState.QUEUED: -1})


def test_counts_of_a_deleted_job_are_a_conflict(sessions):
    job_id = add_job(sessions, 1)
    with transaction(sessions) as session:
        session.execute(text("DELETE FROM jobs"))
        with pytest.raises(JobStateConflict):
            jobs.move_counts(session, job_id, {ImageState.QUEUED: -1, ImageState.RUNNING: 1})


def test_changes_that_find_the_jobs_row_taken_are_left_and_applied_by_the_next(sessions):
    job_id = add_job(sessions, 3)
    with transaction(sessions) as holder:
        holder.execute(text("SELECT id FROM jobs FOR UPDATE"))
        with transaction(sessions) as session:
            move_without_waiting(session, job_id, {ImageState.QUEUED: -2, ImageState.RUNNING: 2})
    assert read_job(sessions, job_id).running == 0
    with transaction(sessions) as session:
        move_without_waiting(session, job_id, {ImageState.RUNNING: -1, ImageState.TAGGED: 1})
    job = read_job(sessions, job_id)
    assert (job.queued, job.running, job.tagged) == (1, 1, 1)
    with transaction(sessions) as session:
        assert session.scalar(text("SELECT count(*) FROM count_changes")) == 0


def test_the_last_changes_are_applied_and_close_the_job_although_they_were_left(sessions):
    job_id = add_job(sessions, 1)
    with transaction(sessions) as holder:
        holder.execute(text("SELECT id FROM jobs FOR UPDATE"))
        with transaction(sessions) as session:
            session.execute(text("UPDATE images SET state = 'tagged', finished_at = now()"))
            move_without_waiting(session, job_id, {ImageState.QUEUED: -1, ImageState.TAGGED: 1})
    with transaction(sessions) as session:
        assert apply_left_counts(session, job_id) is True
        assert apply_left_counts(session, job_id) is False
    assert read_job(sessions, job_id).state == JobState.COMPLETED
    assert_counts_are_true(sessions)


def test_many_at_once_lose_and_double_no_change(sessions):
    job_id = add_job(sessions, 400)

    def move(_):
        with transaction(sessions) as session:
            move_without_waiting(session, job_id, {ImageState.QUEUED: -1, ImageState.RUNNING: 1})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(move, range(400)))
    with transaction(sessions) as session:
        session.execute(text("UPDATE images SET state = 'running'"))
        apply_left_counts(session, job_id)
    assert read_job(sessions, job_id).running == 400
    assert_counts_are_true(sessions)


def move_without_waiting(session, job_id, changes):
    return jobs.move_counts(session, job_id, changes, wait=False)
