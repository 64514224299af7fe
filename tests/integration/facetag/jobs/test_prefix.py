import pytest
from sqlalchemy import select, text

from facetag import jobs
from facetag.db.engine import transaction
from facetag.db.tables import Image, ImageState, JobState
from facetag.erasure.purge import purge_photos
from facetag.errors import JobStateConflict
from tests.integration.facetag.factories import (
    BUCKET,
    TENANT,
    assert_counts_are_true,
    new_images,
    read_job,
    run_images,
)
from tests.integration.facetag.jobs.test_known_results import KEY, label, photos

pytestmark = pytest.mark.integration


@pytest.fixture
def job_id(sessions):
    with transaction(sessions) as session:
        job, _ = jobs.create_prefix_job(session, tenant_id=TENANT, bucket="photos", prefix="a/")
        return job.id


def append(sessions, job_id, images, after, cursor):
    with transaction(sessions) as session:
        return jobs.append_listed_images(session, job_id, images, after=after, cursor=cursor)


def finish(sessions, job_id):
    with transaction(sessions) as session:
        return jobs.finish_listing(session, job_id)


def test_pages_follow_one_another_and_the_total_is_known_at_the_end(sessions, job_id):
    assert append(sessions, job_id, new_images(3), None, "k2") is True
    job = read_job(sessions, job_id)
    assert (job.state, job.total, job.queued) == (JobState.LISTING, None, 3)
    assert append(sessions, job_id, new_images(2, start=3), "k2", None) is True
    assert finish(sessions, job_id).total == 5
    assert read_job(sessions, job_id).state == JobState.QUEUED
    with transaction(sessions) as session:
        query = text("SELECT position, name FROM images ORDER BY position")
        assert session.execute(query).all() == [
            (number, image.name) for number, image in enumerate(new_images(5))
        ]
    assert_counts_are_true(sessions)


def test_a_page_that_somebody_else_has_appended_is_not_appended_again(sessions, job_id):
    assert append(sessions, job_id, new_images(3), None, "k2") is True
    assert append(sessions, job_id, new_images(3), None, "k2") is False
    assert read_job(sessions, job_id).queued == 3


def test_a_page_without_images_moves_the_cursor_on(sessions, job_id):
    assert append(sessions, job_id, [], None, "k9") is True
    assert read_job(sessions, job_id).listing_cursor == "k9"


def test_a_prefix_with_nothing_in_it_is_a_completed_job(sessions, job_id):
    assert append(sessions, job_id, [], None, None) is True
    job = finish(sessions, job_id)
    assert (job.state, job.total) == (JobState.COMPLETED, 0)
    assert job.finished_at is not None
    assert finish(sessions, job_id) is None


def fail(sessions, job_id):
    with transaction(sessions) as session:
        jobs.fail_listing(session, job_id, "There is no bucket photos.")


def cancel(sessions, job_id):
    with transaction(sessions) as session:
        return jobs.cancel_job(session, job_id, tenant_id=TENANT)


def purge(sessions, *contents):
    with transaction(sessions) as session:
        return purge_photos(session, contents, tenant_id=TENANT, bucket=BUCKET, actor="a")


def test_a_listing_goes_on_after_a_photo_of_it_was_purged(sessions, job_id):
    label(sessions, photos("a", "b"), [ImageState.TAGGED] * 2)
    a, *others = photos("a", "b", "c")
    with transaction(sessions) as session:
        jobs.append_listed_images(
            session, job_id, [a, *others], after=None, cursor="k2", labelling_key=KEY
        )
    assert purge(sessions, a.content) == 2
    assert append(sessions, job_id, photos("d"), "k2", None) is True
    assert finish(sessions, job_id).total == 3
    assert_counts_are_true(sessions)


def test_a_resumed_listing_goes_on_after_a_photo_of_it_was_purged(sessions, job_id):
    append(sessions, job_id, photos("a", "b"), None, "k2")
    cancel(sessions, job_id)
    assert purge(sessions, photos("a")[0].content) == 1
    with transaction(sessions) as session:
        assert jobs.resume_job(session, job_id, tenant_id=TENANT).state == JobState.LISTING
    assert append(sessions, job_id, photos("c", "d"), "k2", None) is True
    assert finish(sessions, job_id).total == 3
    assert_counts_are_true(sessions)


def test_a_cancel_stops_the_listing_and_takes_what_was_found(sessions, job_id):
    append(sessions, job_id, new_images(3), None, "k2")
    job = cancel(sessions, job_id)
    assert (job.state, job.total, job.cancelled) == (JobState.CANCELLED, 3, 3)
    assert job.finished_at is not None
    assert append(sessions, job_id, new_images(1), "k2", None) is False
    assert finish(sessions, job_id) is None
    assert_counts_are_true(sessions)


def test_a_cancel_that_waits_for_a_page_takes_that_page_too(sessions, job_id, meanwhile):
    with transaction(sessions) as session:
        jobs.append_listed_images(session, job_id, new_images(3), after=None, cursor="k2")
        cancelled = meanwhile(lambda: cancel(sessions, job_id))
    cancelled()
    job = read_job(sessions, job_id)
    assert (job.state, job.cancelled, job.queued) == (JobState.CANCELLED, 3, 0)
    assert job.finished_at is not None
    assert_counts_are_true(sessions)


def test_a_listing_that_fails_says_why_and_a_retry_begins_anew(sessions, job_id):
    append(sessions, job_id, new_images(3), None, "k2")
    fail(sessions, job_id)
    job = read_job(sessions, job_id)
    assert (job.state, job.total) == (JobState.FAILED, 0)
    assert job.error == "There is no bucket photos."
    assert_counts_are_true(sessions)
    with transaction(sessions) as session:
        job = jobs.retry_job(session, job_id, tenant_id=TENANT)
    assert (job.state, job.total, job.error) == (JobState.LISTING, None, None)
    assert append(sessions, job_id, new_images(2), None, None) is True
    assert finish(sessions, job_id).total == 2
    assert_counts_are_true(sessions)


def test_a_listing_that_fails_while_it_is_cancelled_waits_and_changes_nothing(
    sessions, job_id, meanwhile
):
    append(sessions, job_id, new_images(3), None, "k2")
    with transaction(sessions) as session:
        session.execute(select(Image.id).where(Image.job_id == job_id).with_for_update())
        failing = meanwhile(lambda: fail(sessions, job_id))
        jobs.cancel_job(session, job_id, tenant_id=TENANT)
    failing()
    job = read_job(sessions, job_id)
    assert (job.state, job.cancelled, job.error) == (JobState.CANCELLED, 3, None)
    assert_counts_are_true(sessions)


def test_a_listed_job_whose_images_failed_is_not_listed_again(sessions, job_id):
    append(sessions, job_id, new_images(1), None, None)
    finish(sessions, job_id)
    run_images(sessions, job_id, {0: ImageState.FAILED})
    with transaction(sessions) as session:
        assert jobs.retry_job(session, job_id, tenant_id=TENANT).state == JobState.RUNNING


def test_a_job_that_is_being_listed_is_not_closed(sessions, job_id):
    with transaction(sessions) as session:
        assert jobs.close_job_if_done(session, job_id) is False
        with pytest.raises(JobStateConflict):
            jobs.retry_job(session, job_id, tenant_id=TENANT)
