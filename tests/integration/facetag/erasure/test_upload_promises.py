"""A photo of which a client was told that it is there stays for its job, unless it is erased."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from facetag import jobs
from facetag.db.engine import transaction
from facetag.erasure import upload_promises
from facetag.erasure.purge import purge_job, purge_photos
from facetag.erasure.retention import OrphanWalk, expire_jobs, forget_counted, give_up_photos
from facetag.erasure.tombstones import work_off
from facetag.erasure.upload_promises import forget_promises, promise
from facetag.jobs import NewImage
from facetag.jobs.new_image import LabelWish
from facetag.jobs.queries import UPLOAD_GRACE, find_needed, find_stored
from facetag.settings import Settings
from facetag.storage.object_keys import content_of_key, image_key, thumbnail_key
from tests.integration.facetag.factories import TENANT

pytestmark = pytest.mark.integration

KEY = image_key(TENANT, "ab" * 32, ".jpg")
OTHER = image_key(TENANT, "cd" * 32, ".jpg")


@pytest.fixture
def tell(sessions, storage):
    """Promise photos as an answer to a client does; return those that were written down."""

    def tell(*keys, retention_days=0):
        with transaction(sessions) as session:
            return promise(
                session,
                keys,
                tenant_id=TENANT,
                bucket=storage.bucket,
                retention_days=retention_days,
            )

    return tell


@pytest.fixture
def add_ended(sessions, storage):
    """Add a job of KEY, whose photo is stored, that ended so long ago."""

    def add(ago="2 hours", **wish):
        storage.put(KEY, b"photo", "image/jpeg")
        image = NewImage(KEY, "a.jpg", storage.bucket)
        with transaction(sessions) as session:
            job, _ = jobs.create_job(
                session, tenant_id=TENANT, images=[image], wish=LabelWish(**wish)
            )
        change(
            sessions,
            "UPDATE images SET state = 'no_face', content = :sha, labelling_key = 'k'",
            sha=content_of_key(TENANT, KEY),
        )
        change(
            sessions,
            "UPDATE jobs SET state = 'completed', queued = 0, no_face = 1,"
            f" finished_at = now() - interval '{ago}'",
        )
        return job.id

    return add


def change(sessions, statement, **values):
    with transaction(sessions) as session:
        session.execute(text(statement), values)


def count_promises(sessions):
    with transaction(sessions) as session:
        return session.scalar(text("SELECT count(*) FROM upload_promises"))


def pass_a_day(sessions):
    change(sessions, "UPDATE upload_promises SET until = until - :day", day=UPLOAD_GRACE)


def walk(sessions, storage, monkeypatch):
    """Delete what no job took, as if all had been sent long ago."""
    with monkeypatch.context() as patch:
        patch.setattr("facetag.erasure.retention.UPLOAD_GRACE", timedelta(hours=-1))
        return OrphanWalk().step(sessions, storage)


def test_an_upload_that_is_old_stays_for_a_day_after_a_client_was_told_of_it(
    sessions, storage, tell, monkeypatch
):
    # A deletion may have left the thumbnail of a photo that was to be sent again.
    left = thumbnail_key(TENANT, storage.bucket, OTHER)
    for key in (KEY, OTHER, left):
        storage.put(key, b"photo", "image/jpeg")
    assert tell(KEY) == {KEY}
    assert walk(sessions, storage, monkeypatch) == 1
    assert storage.exists(KEY)
    assert not storage.exists(OTHER)
    assert not storage.exists(left)
    pass_a_day(sessions)
    assert walk(sessions, storage, monkeypatch) == 1
    assert not storage.exists(KEY)


def test_a_promise_that_comes_after_the_walk_has_chosen_is_kept(
    sessions, storage, tell, monkeypatch
):
    """The walk has written its tombstones, and a client is told before they are worked off."""
    storage.put(KEY, b"photo", "image/jpeg")

    def tell_first(*arguments, **more):
        tell(KEY)
        return work_off(*arguments, **more)

    monkeypatch.setattr("facetag.erasure.retention.work_off", tell_first)
    walk(sessions, storage, monkeypatch)
    assert storage.exists(KEY)


@pytest.mark.parametrize("counts_only", [False, True])
def test_a_photo_that_its_job_does_not_keep_stays_for_whoever_was_told_of_it(
    sessions, storage, tell, add_ended, monkeypatch, counts_only
):
    add_ended(keep_photos=False, counts_only=counts_only)
    assert tell(KEY) == {KEY}
    give_up_photos(sessions, bucket=storage.bucket)
    forget_counted(sessions, bucket=storage.bucket)
    work_off(sessions, storage)
    assert storage.exists(KEY)
    pass_a_day(sessions)
    walk(sessions, storage, monkeypatch)
    assert not storage.exists(KEY)


def test_nothing_is_written_for_photos_that_a_job_keeps(sessions, tell, add_ended):
    add_ended()
    assert tell(KEY, OTHER) == {OTHER}
    assert tell(KEY, retention_days=2) == set()
    assert tell(KEY, retention_days=1) == {KEY}, "its job expires within a day"
    change(sessions, "UPDATE jobs SET finished_at = NULL, state = 'queued'")
    assert tell(KEY, retention_days=1) == set()


def test_a_job_that_expires_soon_makes_no_photo_certain(sessions, storage, add_ended):
    add_ended()
    for days, stored in ((0, {KEY}), (2, {KEY}), (1, set())):
        with transaction(sessions) as session:
            found = find_stored(session, [KEY], bucket=storage.bucket, retention_days=days)
        assert found == stored


def test_a_promise_outlasts_the_job_that_expires(sessions, storage, tell, add_ended):
    job_id = add_ended(ago="30 days")
    tell(KEY, retention_days=30)
    assert expire_jobs(sessions, Settings(retention_days=30), bucket=storage.bucket) == 1
    work_off(sessions, storage, job_id=job_id)
    assert storage.exists(KEY)


def test_what_is_erased_on_purpose_goes_at_once(sessions, storage, tell, add_ended):
    def delete(session, job_id):
        purge_job(session, job_id, tenant_id=TENANT, bucket=storage.bucket, actor="a")

    def purge(session, _job_id):
        contents = [content_of_key(TENANT, KEY)]
        purge_photos(session, contents, tenant_id=TENANT, bucket=storage.bucket, actor="a")

    for erase in (delete, purge):
        job_id = add_ended(keep_photos=False)
        assert tell(KEY, OTHER) == {KEY, OTHER}
        with transaction(sessions) as session:
            erase(session, job_id)
        work_off(sessions, storage)
        assert not storage.exists(KEY)
        assert count_promises(sessions) == 1, "that of the other photo"


def test_a_second_answer_renews_a_promise(sessions, storage, tell):
    tell(KEY)
    pass_a_day(sessions)
    with transaction(sessions) as session:
        assert find_needed(session, [KEY], bucket=storage.bucket) == set()
    assert tell(KEY) == {KEY}
    with transaction(sessions) as session:
        assert find_needed(session, [KEY, OTHER], bucket=storage.bucket) == {KEY}


def test_promises_are_deleted_by_and_by_once_their_time_is_over(sessions, tell, monkeypatch):
    monkeypatch.setattr(upload_promises, "BATCH", 2)
    tell(*(f"tenants/local/images/{number}" for number in range(3)))
    assert forget_promises(sessions) == 0
    pass_a_day(sessions)
    tell(KEY)
    assert [forget_promises(sessions) for _ in range(3)] == [2, 1, 0]
    assert count_promises(sessions) == 1
