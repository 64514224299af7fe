"""A new job takes the images of an earlier one over, while its other images are labelled."""

import pytest
from sqlalchemy import delete, select, update

from facetag import jobs
from facetag.db.engine import transaction
from facetag.db.tables import Image, ImageState, Job, JobState
from facetag.errors import JobNotFound, JobStateConflict
from facetag.jobs.reuse.earlier_images import EarlierImages, Run, require_held, take_over
from tests.integration.facetag.factories import (
    TENANT,
    add_job,
    assert_counts_are_true,
    read_job,
    run_images,
)
from tests.integration.facetag.jobs.test_known_results import KEY, OTHER_KEY, label, lines, photos

pytestmark = pytest.mark.integration

TAGGED, NO_FACE, FAILED = ImageState.TAGGED, ImageState.NO_FACE, ImageState.FAILED


def begin(sessions, images, earlier, key=KEY):
    """A new job of those images that the earlier job does not hold."""
    return add_job(sessions, images, labelling_key=key, places=earlier.other_places())


def finish(sessions, job_id, earlier, key=KEY, tenant=TENANT):
    with transaction(sessions) as session:
        take_over(session, job_id, earlier, tenant_id=tenant, key=key)
    return read_job(sessions, job_id)


def test_the_images_stand_where_the_runs_say_with_the_same_results(sessions):
    first = label(sessions, photos("a", "b", "gone", "c"), [TAGGED, NO_FACE, TAGGED, TAGGED])
    a, b, _, c = lines(sessions, first)
    earlier = EarlierImages(first, [Run(1, 0, 2), Run(4, 3, 1)])
    job_id = begin(sessions, photos("0", "b.1", "d"), earlier)
    # Workers begin: a copy of a known photo is known, and nothing else of the job is there yet.
    assert [read_job(sessions, job_id).total, read_job(sessions, job_id).reused] == [3, 1]
    run_images(sessions, job_id, {0: TAGGED})
    job = finish(sessions, job_id, earlier)
    assert (job.total, job.reused, job.queued, job.finished_at) == (6, 4, 1, None)
    assert job.known == {"tagged": 2, "no_face": 2}
    found = lines(sessions, job_id)
    assert [found[1], found[2], found[4]] == [a, b, c]
    assert found[3] == {**b, "image": None}
    assert_counts_are_true(sessions)
    # A repeated request changes nothing.
    assert finish(sessions, job_id, earlier).total == 6
    run_images(sessions, job_id, {5: TAGGED})
    job = read_job(sessions, job_id)
    assert (job.state, job.total, job.tagged) == (JobState.COMPLETED, 6, 4)
    # The copies stay, and are found, without the earlier job.
    with transaction(sessions) as session:
        jobs.delete_job(session, first, tenant_id=TENANT)
        jobs.drop_job(session, first)
    assert lines(sessions, job_id)[1] == a


@pytest.mark.parametrize(
    ("ended", "state"),
    [({}, "completed"), ({0: FAILED}, "completed_with_errors"), ({0: TAGGED}, "completed")],
)
def test_a_job_that_ended_meanwhile_ends_again_with_all_its_images(sessions, ended, state):
    first = label(sessions, photos("a", "b"), [TAGGED, NO_FACE])
    earlier = EarlierImages(first, [Run(len(ended), 0, 2)])
    job_id = begin(sessions, photos(*["new"] * len(ended)), earlier)
    run_images(sessions, job_id, ended)
    assert read_job(sessions, job_id).finished_at is not None
    job = finish(sessions, job_id, earlier)
    assert (job.state, job.total, job.reused) == (state, 2 + len(ended), 2)
    assert job.finished_at is not None
    assert_counts_are_true(sessions)


def test_repetitions_are_marked_among_new_and_earlier_images(sessions):
    first = label(sessions, photos("a", "b", "b.2"), [TAGGED] * 3)
    earlier = EarlierImages(first, [Run(1, 0, 1), Run(2, 2, 1)])
    job_id = begin(sessions, photos("a.0"), earlier)
    finish(sessions, job_id, earlier)
    assert [one.get("duplicate_of") for one in lines(sessions, job_id)] == [None, "a.0", None]


@pytest.mark.parametrize(
    "spoil",
    [
        {"key": OTHER_KEY},
        {"key": None},
        {"tenant": "other"},
        {"runs": [Run(0, 0, 3)]},
        {"job": {"keep_photos": False}},
        {"job": {"finished_at": None}},
    ],
)
def test_a_job_that_does_not_hold_all_results_or_photos_is_refused(sessions, spoil):
    first = label(sessions, photos("a", "b"), [TAGGED, NO_FACE])
    with transaction(sessions) as session:
        session.execute(update(Job).where(Job.id == first).values(spoil.get("job", {"name": "x"})))
    earlier = EarlierImages(first, spoil.get("runs", [Run(0, 0, 2)]))
    asked = {"tenant_id": spoil.get("tenant", TENANT), "key": spoil.get("key", KEY)}
    with transaction(sessions) as session, pytest.raises(JobStateConflict, match="send the images"):
        require_held(session, earlier, **asked)


def test_deleted_jobs_purged_photos_and_failures_are_never_taken_over(sessions):
    first = label(sessions, photos("a", "b", "bad"), [TAGGED, TAGGED, FAILED])
    job_id = begin(sessions, photos("new"), earlier := EarlierImages(first, [Run(1, 0, 2)]))
    for runs in ([Run(1, 0, 3)], [Run(1, 2, 1)]):
        with pytest.raises(JobStateConflict):
            finish(sessions, job_id, EarlierImages(first, runs))
    with transaction(sessions) as session:
        session.execute(delete(Image).where(Image.job_id == first, Image.position == 1))
    with pytest.raises(JobStateConflict):
        finish(sessions, job_id, earlier)
    finish(sessions, job_id, EarlierImages(first, [Run(1, 0, 1)]))
    with transaction(sessions) as session:
        jobs.delete_job(session, first, tenant_id=TENANT)
    second = begin(sessions, photos("new"), earlier)
    with pytest.raises(JobStateConflict):
        finish(sessions, second, EarlierImages(first, [Run(1, 0, 1)]))
    with pytest.raises(JobNotFound):
        finish(sessions, second, earlier, tenant="other")
    with transaction(sessions) as session:
        names = session.scalars(select(Image.name).where(Image.job_id == second)).all()
    assert names == ["new"]


def test_a_cancelled_job_stays_cancelled(sessions):
    first = label(sessions, photos("a"), [TAGGED])
    earlier = EarlierImages(first, [Run(0, 0, 1)])
    job_id = begin(sessions, photos("new"), earlier)
    with transaction(sessions) as session:
        jobs.cancel_job(session, job_id, tenant_id=TENANT)
    job = finish(sessions, job_id, earlier)
    assert (job.state, job.tagged, job.cancelled, job.total) == ("cancelled", 1, 1, 2)
    assert job.finished_at is not None
    assert_counts_are_true(sessions)


def test_the_places_between_the_runs_are_left_for_other_images():
    places = EarlierImages(None, [Run(1, 5, 2), Run(3, 9, 1), Run(6, 0, 1)]).other_places()
    assert [next(places) for _ in range(5)] == [0, 4, 5, 7, 8]
