"""A purged photo is gone from all jobs, whatever happens to them meanwhile."""

import uuid

import pytest
from sqlalchemy import select, update

from facetag import jobs
from facetag.db.engine import transaction
from facetag.db.tables import FaceRow, Image, ImageState, Job
from facetag.erasure.purge import purge_photos
from facetag.errors import JobStateConflict
from facetag.jobs.duplicate_marks import mark_duplicates
from facetag.jobs.reuse.earlier_images import EarlierImages, Run, take_over
from facetag.jobs.reuse.known_results import find_known, finish_with
from tests.integration.facetag.factories import (
    BUCKET,
    TENANT,
    add_job,
    assert_counts_are_true,
    read_job,
)
from tests.integration.facetag.jobs.test_known_results import KEY, label, lines, photos

pytestmark = pytest.mark.integration

TAGGED = ImageState.TAGGED


def contents(*names):
    return [photo.content for photo in photos(*names)]


def purge_in(session, *names):
    return purge_photos(session, contents(*names), tenant_id=TENANT, bucket=BUCKET, actor="a")


@pytest.fixture
def purge(sessions):
    """Purge photos in a transaction of its own."""

    def purge(*names):
        with transaction(sessions) as session:
            return purge_in(session, *names)

    return purge


def names_in(sessions, job_id):
    """The names of a job's images that have a face."""
    query = select(Image.name).join(FaceRow, FaceRow.image_id == Image.id).order_by(Image.position)
    with transaction(sessions) as session:
        return session.scalars(query.where(Image.job_id == job_id)).all()


def take(session, job_id, earlier):
    take_over(session, job_id, earlier, tenant_id=TENANT, key=KEY)


def begin(sessions, earlier):
    return add_job(sessions, [], labelling_key=KEY, places=earlier.other_places())


def test_a_purge_takes_the_copies_that_are_made_meanwhile(sessions, purge, meanwhile):
    first = label(sessions, photos("a", "b"), [TAGGED] * 2)
    earlier = EarlierImages(first, [Run(0, 0, 2)])
    second, queued = begin(sessions, earlier), add_job(sessions, photos("a"))
    with transaction(sessions) as session:
        take(session, second, earlier)
        third, _ = jobs.create_job(
            session, tenant_id=TENANT, images=photos("a", "b"), labelling_key=KEY
        )
        sources = find_known(session, contents("a"), tenant_id=TENANT, key=KEY)
        waiting = session.scalar(select(Image.id).where(Image.job_id == queued))
        assert finish_with(session, {waiting: sources[contents("a")[0]]}) == {waiting: TAGGED}
        jobs.move_counts(session, queued, {ImageState.QUEUED: -1, TAGGED: 1}, reused=1)
        purged = meanwhile(lambda: purge("a"))
    assert purged() == 4
    for job_id in (first, second, third.id):
        assert names_in(sessions, job_id) == ["b"]
        assert read_job(sessions, job_id).total == 1
    assert names_in(sessions, queued) == []
    assert_counts_are_true(sessions)


def test_nothing_is_copied_of_a_photo_that_is_being_purged(sessions):
    first = label(sessions, photos("a", "b"), [TAGGED] * 2)
    sources = known(sessions, "a", "b")
    with transaction(sessions) as session:
        assert purge_in(session, "a") == 1
        # Nobody waits for the purge.
        job_id = add_job(sessions, photos("a", "b"), labelling_key=KEY)
        queued = add_job(sessions, photos("a", "b"))
        with transaction(sessions) as other:
            rows = other.scalars(
                select(Image).where(Image.job_id == queued).order_by(Image.position)
            ).all()
            wanted = {row.id: source for row, source in zip(rows, sources, strict=True)}
            assert finish_with(other, wanted) == {rows[1].id: TAGGED}
            jobs.move_counts(other, queued, {ImageState.QUEUED: -1, TAGGED: 1}, reused=1)
    assert [names_in(sessions, one) for one in (first, job_id, queued)] == [["b"]] * 3
    assert read_job(sessions, job_id).queued == 1
    assert_counts_are_true(sessions)


def test_photos_that_repeated_a_purged_one_repeat_the_first_that_is_left(sessions, purge):
    job_id = label(sessions, photos("a", "b", "c", "d"), [TAGGED] * 4)
    with transaction(sessions) as session:
        session.execute(update(Image).where(Image.name != "d").values(look=bytes(32)))
        mark_duplicates(session, job_id)
    assert repeated_in(sessions, job_id) == [None, "a", "a", None]
    purge("a", "d")
    assert repeated_in(sessions, job_id) == [None, "b"]
    purge("c")
    assert repeated_in(sessions, job_id) == [None]


def repeated_in(sessions, job_id):
    return [line.get("duplicate_of") for line in lines(sessions, job_id)]


def test_purged_photos_are_no_longer_counted_as_known(sessions, purge):
    first = label(sessions, photos("a", "b", "c"), [TAGGED, ImageState.NO_FACE, TAGGED])
    job_id = add_job(sessions, photos("a", "b", "c"), labelling_key=KEY)
    other = add_job(sessions, photos("new", "a"), labelling_key=KEY)
    assert purge("a", "b") == 5
    job = read_job(sessions, job_id)
    assert (job.total, job.reused, job.known) == (1, 1, {"tagged": 1, "no_face": 0})
    assert [read_job(sessions, one).reused for one in (first, other)] == [0, 0]
    assert read_job(sessions, other).total == 1
    assert_counts_are_true(sessions)


def test_a_purge_locks_jobs_by_ascending_id(sessions, purge, meanwhile):
    low, high = sorted(label(sessions, photos("a"), [ImageState.NO_FACE]) for _ in range(2))
    with transaction(sessions) as session:
        session.execute(update(Image).where(Image.job_id == low).values(id=Image.id + 1000))
    with transaction(sessions) as session:
        lock(session, low)
        purged = meanwhile(lambda: purge("a"))
        lock(session, high, nowait=True)
    assert purged() == 2


@pytest.mark.parametrize("is_lower", [True, False])
def test_a_job_and_the_earlier_one_are_locked_by_ascending_id(sessions, meanwhile, is_lower):
    first = label(sessions, photos("a"), [TAGGED])
    earlier = EarlierImages(first, [Run(0, 0, 1)])
    job_id = uuid.UUID(int=1 if is_lower else 2**128 - 1)
    with transaction(sessions) as session:
        session.execute(update(Job).where(Job.id == begin(sessions, earlier)).values(id=job_id))

    def take_now():
        with transaction(sessions) as session:
            take(session, job_id, earlier)

    low, high = sorted([first, job_id])
    with transaction(sessions) as session:
        lock(session, low)
        taken = meanwhile(take_now)
        lock(session, high, nowait=True)
    taken()
    assert names_in(sessions, job_id) == ["a"]


def test_a_job_that_ends_during_a_purge_waits_for_none_of_its_images(sessions, purge, meanwhile):
    job_id = label(sessions, photos("a", "b", "c"), [TAGGED] * 3)
    with transaction(sessions) as session:
        session.execute(update(Image).values(look=bytes(32)))
    with transaction(sessions) as session:
        lock(session, job_id)
        purged = meanwhile(lambda: purge("b"))
        mark_duplicates(session, job_id)
    assert purged() == 1
    assert repeated_in(sessions, job_id) == [None, "a"]


def lock(session, job_id, *, nowait=False):
    session.execute(select(Job.id).where(Job.id == job_id).with_for_update(nowait=nowait))


def known(sessions, *names):
    """The ids of the images whose results are known for these photos."""
    with transaction(sessions) as session:
        found = find_known(session, contents(*names), tenant_id=TENANT, key=KEY)
    return [found[content] for content in contents(*names)]


def test_a_job_that_waits_for_a_purge_of_an_earlier_one_takes_nothing_over(sessions, meanwhile):
    first = label(sessions, photos("a", "b"), [TAGGED] * 2)
    earlier = EarlierImages(first, [Run(0, 0, 2)])
    job_id = begin(sessions, earlier)

    def take_now():
        with transaction(sessions) as session:
            take(session, job_id, earlier)

    with transaction(sessions) as session:
        purge_in(session, "a")
        taken = meanwhile(take_now)
    with pytest.raises(JobStateConflict, match="send the images"):
        taken()
    assert read_job(sessions, job_id).total == 0
