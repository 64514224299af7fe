"""A content that was labelled is not labelled again, whatever job asks for it."""

import hashlib

import pytest
from sqlalchemy import event, text, update

from facetag import jobs
from facetag.db.engine import transaction
from facetag.db.tables import Image, ImageState, JobState
from facetag.erasure.purge import purge_photos
from facetag.errors import JobStateConflict
from facetag.jobs import NewImage
from tests.integration.facetag.factories import (
    BUCKET,
    TENANT,
    add_face,
    add_job,
    assert_counts_are_true,
    read_job,
    run_images,
)

pytestmark = pytest.mark.integration

KEY, OTHER_KEY = b"k" * 16, b"o" * 16


def photos(*names):
    """Photos whose bytes are their names, up to a dot."""
    return [
        NewImage(f"key {name}", name, BUCKET, hashlib.sha256(name.split(".")[0].encode()).digest())
        for name in names
    ]


def label(sessions, images, states, key=KEY):
    """A job of photos, labelled under a key: one face in each tagged photo."""
    job_id = add_job(sessions, images)
    run_images(sessions, job_id, dict(enumerate(states)))
    with transaction(sessions) as session:
        session.execute(
            update(Image)
            .where(Image.job_id == job_id, Image.state != "failed")
            .values(labelling_key=key)
        )
        for position, state in enumerate(states):
            if state == ImageState.TAGGED:
                add_face(session, job_id, position, 0, age=30.0 + position)
    return job_id


def lines(sessions, job_id):
    with transaction(sessions) as session:
        found, _ = jobs.list_images(session, job_id, tenant_id=TENANT, limit=1000)
    return [{**line, "image": None, "position": None} for line in found]


def test_a_job_of_known_photos_is_finished_at_once_with_the_same_results(sessions):
    states = [ImageState.TAGGED, ImageState.NO_FACE, ImageState.TAGGED]
    first = label(sessions, photos("a", "b", "c"), states)
    again = add_job(sessions, photos("c", "a", "b"), labelling_key=KEY)
    job = read_job(sessions, again)
    assert (job.state, job.reused, job.total) == (JobState.COMPLETED, 3, 3)
    assert job.finished_at is not None
    assert job.known == {"tagged": 2, "no_face": 1}
    a, b, c = lines(sessions, first)
    assert lines(sessions, again) == [c, a, b]
    assert_counts_are_true(sessions)
    # The copies are results of their own: they stay, and are found, without the first job.
    with transaction(sessions) as session:
        jobs.delete_job(session, first, tenant_id=TENANT)
        jobs.drop_job(session, first)
    assert lines(sessions, again) == [c, a, b]
    assert read_job(sessions, add_job(sessions, photos("a"), labelling_key=KEY)).reused == 1


@pytest.mark.parametrize(
    "asked",
    [
        {"labelling_key": OTHER_KEY},
        {"labelling_key": None},
        {"labelling_key": KEY, "reuse": False},
    ],
)
def test_other_settings_and_a_fresh_job_reuse_nothing(sessions, asked):
    label(sessions, photos("a"), [ImageState.TAGGED])
    job = read_job(sessions, add_job(sessions, photos("a"), **asked))
    assert (job.reused, job.queued, job.state) == (0, 1, JobState.QUEUED)


def test_only_what_is_new_is_queued_and_failures_are_tried_again(sessions):
    label(sessions, photos("a", "bad"), [ImageState.TAGGED, ImageState.FAILED])
    job_id = add_job(sessions, photos("new", "a", "bad"), labelling_key=KEY)
    job = read_job(sessions, job_id)
    assert (job.reused, job.queued, job.tagged, job.finished_at) == (1, 2, 1, None)
    assert [line["state"] for line in lines(sessions, job_id)] == ["queued", "tagged", "queued"]
    assert_counts_are_true(sessions)


def test_another_tenant_sees_nothing_of_it(sessions):
    label(sessions, photos("a"), [ImageState.TAGGED])
    with transaction(sessions) as session:
        job, _ = jobs.create_job(session, tenant_id="other", images=photos("a"), labelling_key=KEY)
        assert (job.reused, job.queued) == (0, 1)


def test_listed_photos_are_reused_page_by_page(sessions):
    label(sessions, photos("a", "b"), [ImageState.TAGGED, ImageState.NO_FACE])
    with transaction(sessions) as session:
        job, _ = jobs.create_prefix_job(session, tenant_id=TENANT, bucket=BUCKET, prefix="p/")
        for page, after, cursor in ((photos("a", "x"), None, "1"), (photos("b"), "1", None)):
            assert jobs.append_listed_images(
                session, job.id, page, after=after, cursor=cursor, labelling_key=KEY
            )
        jobs.finish_listing(session, job.id)
    found = read_job(sessions, job.id)
    assert (found.total, found.reused, found.queued) == (3, 2, 1)
    assert_counts_are_true(sessions)


def test_one_of_equal_photos_is_claimable_and_the_others_wait(sessions):
    job_id = add_job(sessions, photos("a.1", "b", "a.2", "a.3"))
    query = text("SELECT name FROM images WHERE suspicion >= 0 ORDER BY position")
    with transaction(sessions) as session:
        assert session.scalars(query).all() == ["a.1", "b"]
    assert read_job(sessions, job_id).queued == 4


def test_a_cancelled_job_goes_on_with_what_was_left(sessions):
    job_id = add_job(sessions, photos("a", "b.1", "b.2", "c"))
    run_images(sessions, job_id, {0: ImageState.TAGGED})
    with transaction(sessions) as session:
        jobs.cancel_job(session, job_id, tenant_id=TENANT)
    with transaction(sessions) as session:
        job = jobs.resume_job(session, job_id, tenant_id=TENANT)
        assert (job.state, job.tagged, job.queued, job.cancelled) == ("running", 1, 3, 0)
        assert job.finished_at is None
    assert_counts_are_true(sessions)
    query = text("SELECT name FROM images WHERE state = 'queued' AND suspicion >= 0")
    with transaction(sessions) as session:
        assert sorted(session.scalars(query)) == ["b.1", "c"]


def test_a_retagged_job_labels_known_photos_again_but_equal_ones_once(sessions):
    states = [ImageState.TAGGED, ImageState.NO_FACE, ImageState.TAGGED]
    first = label(sessions, photos("a.1", "b", "a.2"), states)
    with transaction(sessions) as session:
        job = jobs.retag_job(session, first, tenant_id=TENANT)
        assert (job.reuse, job.queued, job.reused) == (False, 3, 0)
        query = text("SELECT name FROM images WHERE job_id = :id AND suspicion >= 0 ORDER BY 1")
        assert session.scalars(query, {"id": job.id}).all() == ["a.1", "b"]


def test_a_retagged_job_counts_only_photos_that_a_purge_at_that_moment_left(sessions):
    first = label(sessions, photos("a", "b", "c"), [ImageState.TAGGED] * 3)

    def purge(*_):
        contents = [image.content for image in photos("b")]
        with transaction(sessions) as session:
            purge_photos(session, contents, tenant_id=TENANT, bucket=BUCKET, actor="test")

    with transaction(sessions) as session:
        # After the old job was read, and before its images are copied.
        event.listen(session, "after_flush", purge, once=True)
        job = jobs.retag_job(session, first, tenant_id=TENANT)
        assert (job.total, job.queued) == (2, 2)
    assert_counts_are_true(sessions)


def test_only_a_cancelled_job_can_be_resumed(sessions):
    job_id = add_job(sessions, photos("a", "b"))
    with (
        pytest.raises(JobStateConflict, match="only a cancelled job"),
        transaction(sessions) as session,
    ):
        jobs.resume_job(session, job_id, tenant_id=TENANT)
    assert read_job(sessions, job_id).queued == 2


def test_a_closed_job_names_the_photo_that_another_one_repeats(sessions):
    job_id = add_job(sessions, photos("a", "b", "c", "bad.1", "bad.2"))
    looks = [bytes(32), bytes(31) + b"\x03", b"\xff" * 32]
    with transaction(sessions) as session:
        for position, look in enumerate(looks):
            session.execute(
                update(Image)
                .where(Image.job_id == job_id, Image.position == position)
                .values(look=look)
            )
    states = [ImageState.TAGGED, ImageState.NO_FACE, ImageState.TAGGED]
    run_images(sessions, job_id, dict(enumerate([*states, *[ImageState.FAILED] * 2])))
    found = [line.get("duplicate_of") for line in lines(sessions, job_id)]
    assert found == [None, "a", None, None, None]
    with transaction(sessions) as session:
        settled, _ = jobs.list_images(session, job_id, tenant_id=TENANT, unsettled=[2])
    assert [(one["position"], one.get("duplicate_of")) for one in settled] == [(1, "a"), (2, None)]
