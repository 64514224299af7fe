import contextlib
import random
import threading
import uuid
from dataclasses import replace

import pytest
from sqlalchemy import func, select, text

from facetag import jobs
from facetag.db.engine import transaction
from facetag.db.tables import Image, ImageState, Job, JobState
from facetag.errors import ImageNotFound, JobNotFound, JobStateConflict
from facetag.jobs import queries
from facetag.jobs.reuse import known_results
from tests.integration.facetag.factories import (
    BUCKET,
    TENANT,
    add_job,
    assert_counts_are_true,
    counts_of,
    end_images,
    new_images,
    read_job,
    run_images,
    start_images,
)

pytestmark = pytest.mark.integration

TAGGED, FAILED, CANCELLED = ImageState.TAGGED, ImageState.FAILED, ImageState.CANCELLED


def cancel(sessions, job_id):
    with transaction(sessions) as session:
        return jobs.cancel_job(session, job_id, tenant_id=TENANT)


def retry(sessions, job_id):
    with transaction(sessions) as session:
        return jobs.retry_job(session, job_id, tenant_id=TENANT)


def delete(sessions, job_id):
    with transaction(sessions) as session:
        return jobs.delete_job(session, job_id, tenant_id=TENANT)


def nonzero(job):
    return {state: number for state, number in counts_of(job).items() if number}


def test_cancelling_a_queued_job_ends_it_at_once(sessions):
    job = cancel(sessions, add_job(sessions, 3))
    assert (job.state, nonzero(job)) == (JobState.CANCELLED, {"cancelled": 3})
    assert job.finished_at is not None
    assert_counts_are_true(sessions)


def test_cancelling_lets_what_runs_finish_and_keeps_what_is_finished(sessions):
    job_id = add_job(sessions, 4)
    run_images(sessions, job_id, {0: TAGGED})
    with transaction(sessions) as session:
        start_images(session, job_id, [1])
    job = cancel(sessions, job_id)
    assert (job.state, job.finished_at) == (JobState.CANCELLED, None)
    assert nonzero(job) == {"tagged": 1, "running": 1, "cancelled": 2}
    assert_counts_are_true(sessions)
    with transaction(sessions) as session:
        assert end_images(session, job_id, {1: FAILED}) is True
    job = read_job(sessions, job_id)
    assert (job.state, nonzero(job)) == (
        JobState.CANCELLED,
        {"tagged": 1, "failed": 1, "cancelled": 2},
    )
    assert job.finished_at is not None


def test_an_image_given_back_after_the_cancel_is_cancelled(sessions):
    job_id = add_job(sessions, 2)
    with transaction(sessions) as session:
        start_images(session, job_id, [0, 1])
    cancel(sessions, job_id)
    with transaction(sessions) as session:
        session.execute(text("UPDATE images SET state = 'queued' WHERE position = 0"))
        jobs.move_counts(session, job_id, {ImageState.RUNNING: -1, ImageState.QUEUED: 1})
        assert jobs.close_job_if_done(session, job_id) is False
    assert nonzero(read_job(sessions, job_id)) == {"running": 1, "cancelled": 1}
    assert_counts_are_true(sessions)


def test_a_second_cancel_changes_nothing(sessions):
    job_id = add_job(sessions, 1)
    first = cancel(sessions, job_id)
    assert cancel(sessions, job_id).finished_at == first.finished_at


def test_a_finished_job_cannot_be_cancelled(sessions):
    job_id = add_job(sessions, 1)
    run_images(sessions, job_id, {0: TAGGED})
    with pytest.raises(JobStateConflict, match="completed"):
        cancel(sessions, job_id)


def test_a_retry_queues_the_failed_images_as_new_and_leaves_the_others(sessions):
    job_id = add_job(sessions, 3)
    run_images(sessions, job_id, {0: TAGGED, 1: FAILED, 2: FAILED})
    job = retry(sessions, job_id)
    assert (job.state, job.finished_at) == (JobState.RUNNING, None)
    assert nonzero(job) == {"tagged": 1, "queued": 2}
    fresh_id = add_job(sessions, new_images(3))
    with transaction(sessions) as session:
        query = select(Image).order_by(Image.position)
        retried = session.scalars(query.where(Image.job_id == job_id)).all()
        fresh = session.scalars(query.where(Image.job_id == fresh_id)).all()
        for one, other in zip(retried[1:], fresh[1:], strict=True):
            own = {"id", "job_id"}
            columns = {column.name for column in Image.__table__.c} - own
            assert [getattr(one, name) for name in columns] == [
                getattr(other, name) for name in columns
            ]
        assert (retried[0].state, retried[0].model_version) == (TAGGED, "v1")
    run_images(sessions, job_id, {1: TAGGED, 2: TAGGED})
    assert read_job(sessions, job_id).state == JobState.COMPLETED
    assert_counts_are_true(sessions)


def test_only_a_finished_job_with_failed_images_can_be_retried(sessions):
    waiting = add_job(sessions, 1)
    completed = add_job(sessions, 1)
    run_images(sessions, completed, {0: TAGGED})
    cancelled = add_job(sessions, 2)
    run_images(sessions, cancelled, {0: FAILED})
    cancel(sessions, cancelled)
    running = add_job(sessions, 2)
    run_images(sessions, running, {0: FAILED})
    for job_id in (waiting, completed, cancelled, running):
        before = counts_of(read_job(sessions, job_id))
        with pytest.raises(JobStateConflict):
            retry(sessions, job_id)
        assert counts_of(read_job(sessions, job_id)) == before
    assert_counts_are_true(sessions)


def test_nobody_sees_a_deleted_job_although_its_rows_are_there(sessions):
    images = [replace(image, content=bytes(32)) for image in new_images(1)]
    job_id = add_job(sessions, images, idempotency_key="first")
    run_images(sessions, job_id, {0: TAGGED})
    with transaction(sessions) as session:
        session.execute(text("UPDATE images SET labelling_key = 'k'"))
    find = {"tenant_id": TENANT}
    with transaction(sessions) as session:
        assert known_results.find_known(session, [bytes(32)], key=b"k", **find)
    delete(sessions, job_id)
    with transaction(sessions) as session:
        assert session.scalar(select(func.count()).select_from(Image)) == 1
        assert not known_results.find_known(session, [bytes(32)], key=b"k", **find)
        assert jobs.list_jobs(session, **find) == ([], None)
        assert not queries.find_needed(session, [images[0].key], bucket=BUCKET)
        assert not queries.find_stored(session, [images[0].key], bucket=BUCKET, retention_days=0)
        with pytest.raises(ImageNotFound):
            jobs.locate_image(session, job_id, 0, **find)
        for ask in (jobs.get_job, jobs.delete_job, jobs.retry_job, jobs.retag_job):
            with pytest.raises(JobNotFound):
                ask(session, job_id, **find)
    assert add_job(sessions, 1, idempotency_key="first") != job_id
    with transaction(sessions) as session:
        jobs.drop_job(session, job_id)
        assert session.scalar(select(func.count()).select_from(Image)) == 1


def test_a_job_of_which_something_may_run_cannot_be_deleted(sessions):
    job_id = add_job(sessions, 2)
    with pytest.raises(JobStateConflict, match="cancel it"):
        delete(sessions, job_id)
    with transaction(sessions) as session:
        start_images(session, job_id, [0])
    cancel(sessions, job_id)
    with pytest.raises(JobStateConflict):
        delete(sessions, job_id)
    with transaction(sessions) as session:
        end_images(session, job_id, {0: TAGGED})
    assert delete(sessions, job_id).total == 2


def test_another_tenants_job_is_not_found(sessions):
    job_id = add_job(sessions, 1)
    with transaction(sessions) as session:
        for change in (jobs.get_job, jobs.cancel_job, jobs.retry_job, jobs.list_images):
            with pytest.raises(JobNotFound):
                change(session, job_id, tenant_id="another")
        with pytest.raises(JobNotFound):
            jobs.delete_job(session, job_id, tenant_id="another")
        with pytest.raises(JobNotFound):
            jobs.get_job(session, uuid.uuid4(), tenant_id=TENANT)


def test_counts_are_true_and_nothing_locks_up_whatever_happens_at_the_same_time(sessions):
    """Workers, cancels, retries and readers on the same few jobs, in all orders."""
    job_ids = [add_job(sessions, 40) for _ in range(3)]
    faults, stop = [], threading.Event()

    def guarded(function, *arguments):
        try:
            function(sessions, job_ids, *arguments)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion
            faults.append(error)

    workers = [threading.Thread(target=guarded, args=(work, seed, stop)) for seed in range(3)]
    others = [
        threading.Thread(target=guarded, args=(interfere, seed, change))
        for seed, change in enumerate((retry, retry, cancel))
    ]
    for thread in workers + others:
        thread.start()
    for thread in others:
        thread.join()
    stop.set()
    for thread in workers:
        thread.join()
    assert faults == []
    assert_counts_are_true(sessions)


def work(sessions, job_ids, seed, stop):
    chance = random.Random(seed)
    while not stop.is_set():
        job_id = chance.choice(job_ids)
        with transaction(sessions) as session:
            claimed = claim(session, job_id, limit=4)
        if not claimed:
            stop.wait(0.01)
            continue
        with transaction(sessions) as session:
            end_images(session, job_id, {one: chance.choice([TAGGED, FAILED]) for one in claimed})


def interfere(sessions, job_ids, seed, change):
    chance = random.Random(seed)
    for _ in range(12):
        with contextlib.suppress(JobStateConflict):
            change(sessions, chance.choice(job_ids))
        assert_counts_are_true(sessions)


def claim(session, job_id, limit):
    """Claim as workers do: skip what is locked, then move the counts."""
    open_states = (JobState.QUEUED, JobState.RUNNING)
    positions = session.scalars(
        select(Image.position)
        .where(
            Image.job_id
            == select(Job.id).where(Job.id == job_id, Job.state.in_(open_states)).scalar_subquery(),
            Image.state == ImageState.QUEUED,
        )
        .order_by(Image.position)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if positions:
        start_images(session, job_id, positions)
    return positions
