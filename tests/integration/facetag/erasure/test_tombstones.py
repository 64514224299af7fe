"""What is deleted goes for good, however long object storage is away, and only that."""

import os
import time
import uuid
from contextlib import suppress

import pytest
from sqlalchemy import text

from facetag import jobs
from facetag.db.engine import transaction
from facetag.erasure.purge import purge_job, purge_photos
from facetag.erasure.retention import OrphanWalk, expire_jobs, forget_counted, give_up_photos
from facetag.erasure.tombstones import BATCH, bury, spare, work_off
from facetag.errors import JobStateConflict, StorageUnavailable
from facetag.jobs import NewImage
from facetag.jobs.new_image import LabelWish
from facetag.settings import Settings
from facetag.standalone.servers import seaweedfs
from facetag.standalone.servers.postgres import Postgres
from facetag.standalone.servers.valkey import Valkey
from facetag.standalone.stack import LocalStack
from facetag.storage.client import make_storage
from facetag.storage.object_keys import image_key

pytestmark = pytest.mark.integration

SHA = "ab" * 32
KEY = image_key("local", SHA, ".jpg")


def count_waiting(session):
    """The objects that are still to be deleted."""
    return session.scalar(text("SELECT count(*) FROM tombstones"))


def make_job(sessions, storage, key=KEY, ended=True):
    storage.put(key, b"photo", "image/jpeg")
    with transaction(sessions) as session:
        image = NewImage(key=key, name="my holiday.jpg", bucket=storage.bucket)
        job, _ = jobs.create_job(session, tenant_id="local", images=[image])
        if ended:
            session.execute(
                text("UPDATE images SET state = 'no_face', content = :sha WHERE job_id = :job"),
                {"job": job.id, "sha": bytes.fromhex(SHA)},
            )
            session.execute(
                text(
                    "UPDATE jobs SET state = 'completed', queued = 0, no_face = 1, "
                    "finished_at = now() WHERE id = :job"
                ),
                {"job": job.id},
            )
    return job.id


def purge(sessions, storage, job_id):
    with transaction(sessions) as session:
        return purge_job(
            session, job_id, tenant_id="local", bucket=storage.bucket, actor="0a museum"
        )


def audit(sessions):
    with transaction(sessions) as session:
        rows = session.execute(text("SELECT action, actor, subject, number FROM audit_lines"))
        return [tuple(row) for row in rows.all()]


class Frozen:
    """Object storage that takes no deletion for a while."""

    def __init__(self, storage):
        self.storage = storage
        self.bucket = storage.bucket

    def delete(self, _keys):
        raise StorageUnavailable("frozen")


class Forgetful:
    """Object storage that deletes at once what it is told to."""

    bucket = "facetag"
    deleted = 0

    def delete(self, keys):
        self.deleted += len(keys)


def test_a_deletion_outlasts_an_outage_of_storage_and_ends_in_the_audit_log(sessions, storage):
    job_id = make_job(sessions, storage)
    purge(sessions, storage, job_id)
    assert work_off(sessions, Frozen(storage)) == 0
    assert storage.exists(KEY)
    with transaction(sessions) as session:
        assert count_waiting(session) == 2
        session.execute(text("UPDATE tombstones SET not_before = now()"))
    assert work_off(sessions, storage) == 2
    assert not storage.exists(KEY)
    lines = audit(sessions)
    assert [(action, number) for action, _, _, number in lines] == [
        ("job deleted", 1),
        ("objects erased", 2),
    ]
    assert {subject for _, _, subject, _ in lines} == {str(job_id)}
    assert lines[0][1] == "0a museum"
    assert "holiday" not in str(lines)


def test_a_long_deletion_takes_several_calls_and_is_counted_as_one(sessions):
    """Nothing is kept in memory between the calls, so a restart of the sweeper loses no count."""
    store, job_id = Forgetful(), uuid.uuid4()
    keys = [image_key("local", f"{number:064x}", ".jpg") for number in range(2 * BATCH + 7)]
    with transaction(sessions) as session:
        bury(session, keys, tenant_id="local", job_id=job_id)
    for number in (BATCH, BATCH):
        assert work_off(sessions, store, until=time.monotonic()) == number
    assert audit(sessions) == [("erasing objects", "sweeper", str(job_id), 2 * BATCH)]
    for number in (7, 0):
        assert work_off(sessions, store, until=time.monotonic()) == number
    assert store.deleted == len(keys)
    assert audit(sessions) == [("objects erased", "sweeper", str(job_id), len(keys))]


def test_a_photo_that_is_sent_again_meanwhile_stays(sessions, storage):
    purge(sessions, storage, make_job(sessions, storage))
    make_job(sessions, storage, ended=False)
    work_off(sessions, storage)
    assert storage.exists(KEY)
    assert audit(sessions)[-1][::3] == ("objects erased", 1), "its thumbnail"


def test_an_upload_takes_its_tombstone_back_and_no_one_elses(sessions, storage):
    purge(sessions, storage, make_job(sessions, storage))
    for tenant_id, left in (("other", 2), ("local", 1)):
        with transaction(sessions) as session:
            spare(session, [KEY], tenant_id=tenant_id)
        with transaction(sessions) as session:
            assert count_waiting(session) == left


def test_a_photo_is_purged_from_every_job_by_its_hash(sessions, storage):
    ids = [make_job(sessions, storage), make_job(sessions, storage)]
    waiting = make_job(sessions, storage, ended=False)
    with transaction(sessions) as session:
        for tenant_id, number in (("other", 0), ("local", 2)):
            found = purge_photos(
                session,
                [bytes.fromhex(SHA)],
                tenant_id=tenant_id,
                bucket=storage.bucket,
                actor="a",
            )
            assert found == number
    with transaction(sessions) as session:
        for job_id in ids:
            job = jobs.get_job(session, job_id, tenant_id="local")
            assert (job.total, job.no_face) == (0, 0)
        assert jobs.get_job(session, waiting, tenant_id="local").total == 1
    work_off(sessions, storage)
    assert storage.exists(KEY)


def test_results_expire_after_their_days_and_not_before(sessions, storage):
    job_id = make_job(sessions, storage)
    settings = Settings(retention_days=30)
    assert expire_jobs(sessions, settings, bucket=storage.bucket) == 0
    with transaction(sessions) as session:
        session.execute(text("UPDATE jobs SET finished_at = now() - interval '31 days'"))
    never = Settings(retention_days=0)
    assert expire_jobs(sessions, never, bucket=storage.bucket) == 0
    assert expire_jobs(sessions, settings, bucket=storage.bucket) == 1
    assert audit(sessions)[0][:3] == ("job deleted", "sweeper", str(job_id))


def test_an_upload_that_no_job_took_expires(sessions, storage, monkeypatch):
    from facetag.erasure import retention

    make_job(sessions, storage)
    orphan = image_key("local", "cd" * 32, ".jpg")
    storage.put(orphan, b"photo", "image/jpeg")
    storage.put("tenants/local/thumbnails/a.webp", b"small", "image/webp")
    assert OrphanWalk().step(sessions, storage) == 0
    monkeypatch.setattr(retention, "UPLOAD_GRACE", -retention.REST)
    walk = OrphanWalk()
    assert walk.step(sessions, storage) == 1
    assert walk.step(sessions, storage) == 0
    assert not storage.exists(orphan)
    assert storage.exists(KEY)
    assert storage.exists("tenants/local/thumbnails/a.webp")


def test_the_bytes_of_a_deleted_photo_leave_the_data_folder(tmp_path):
    secret = os.urandom(32) * 100
    with LocalStack(Settings(data_dir=tmp_path), without=[Postgres, Valkey]) as stack:
        storage = make_storage(stack.connected_settings())
        storage.ensure_bucket()
        storage.put(KEY, secret, "image/jpeg")
        storage.put(image_key("local", "cd" * 32, ".jpg"), os.urandom(10_000), "image/jpeg")
        assert holders(tmp_path, secret)
        storage.delete([KEY])
    assert holders(tmp_path, secret) == []


def test_a_running_server_loses_deleted_bytes_and_keys_by_turns(tmp_path, monkeypatch):
    monkeypatch.setattr(seaweedfs, "CLEAN_EVERY_S", 0.5)
    monkeypatch.setattr(seaweedfs, "QUIET_S", 0.0)
    secret, name = os.urandom(32) * 100, KEY.rpartition("/")[2].encode().ljust(64)[:64]
    with LocalStack(Settings(data_dir=tmp_path), without=[Postgres, Valkey]) as stack:
        storage = make_storage(stack.connected_settings())
        storage.ensure_bucket()
        storage.put(KEY, secret, "image/jpeg")
        assert holders(tmp_path, secret)
        assert holders(tmp_path, name)
        storage.delete([KEY])
        deadline = time.monotonic() + 60
        while holders(tmp_path, secret) or holders(tmp_path, name):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        # The server goes on with the index that was written anew below it.
        storage.put(KEY, b"again", "image/jpeg")
        assert storage.fetch(storage.bucket, KEY, 100) == b"again"


def holders(folder, secret):
    found = []
    for path in folder.rglob("*"):
        # The server replaces files meanwhile.
        with suppress(FileNotFoundError):
            if path.is_file() and secret[:64] in path.read_bytes():
                found.append(path)
    return found


def end(sessions, job_id, ago="2 hours", state="no_face"):
    """End a job so long ago."""
    with transaction(sessions) as session:
        session.execute(
            text(f"UPDATE images SET state = '{state}' WHERE job_id = :job"), {"job": job_id}
        )
        session.execute(
            text(
                f"UPDATE jobs SET state = 'completed', queued = 0, {state} = 1, "
                f"finished_at = now() - interval '{ago}' WHERE id = :job"
            ),
            {"job": job_id},
        )


def give_up(sessions, storage):
    number = give_up_photos(sessions, bucket=storage.bucket)
    work_off(sessions, storage)
    return number


def make_kept(sessions, storage, *, keep):
    storage.put(KEY, b"photo", "image/jpeg")
    with transaction(sessions) as session:
        image = NewImage(key=KEY, name="my holiday.jpg", bucket=storage.bucket)
        wish = LabelWish(keep_photos=keep)
        job, _ = jobs.create_job(session, tenant_id="local", images=[image], wish=wish)
    return job.id


def test_labelled_photos_go_an_hour_after_their_job_unless_they_are_to_stay(sessions, storage):
    job_id = make_kept(sessions, storage, keep=False)
    assert give_up(sessions, storage) == 0
    end(sessions, job_id, ago="50 minutes")
    assert give_up(sessions, storage) == 0
    end(sessions, job_id)
    kept = make_kept(sessions, storage, keep=True)
    end(sessions, kept)
    assert give_up(sessions, storage) == 1
    assert storage.exists(KEY), "another job keeps it"
    purge(sessions, storage, kept)
    work_off(sessions, storage)
    assert not storage.exists(KEY), "the other job gave it up before"
    assert give_up(sessions, storage) == 0
    with transaction(sessions) as session:
        assert jobs.get_job(session, job_id, tenant_id="local").total == 1
        with pytest.raises(JobStateConflict, match="photos were deleted"):
            jobs.retag_job(session, job_id, tenant_id="local")


def test_a_photo_that_failed_stays_for_another_try_and_goes_after_it(sessions, storage):
    job_id = make_kept(sessions, storage, keep=False)
    end(sessions, job_id, state="failed")
    assert give_up(sessions, storage) == 0
    with transaction(sessions) as session:
        session.execute(text("UPDATE jobs SET state = 'failed'"))
        jobs.retry_job(session, job_id, tenant_id="local")
    assert storage.exists(KEY)
    # It ended again after the first time was noted.
    with transaction(sessions) as session:
        session.execute(text("UPDATE jobs SET photos_deleted_at = now() - interval '3 hours'"))
    end(sessions, job_id)
    assert give_up(sessions, storage) == 1
    assert not storage.exists(KEY)


def test_a_large_job_that_keeps_counts_is_forgotten_in_several_calls(
    sessions, storage, monkeypatch
):
    monkeypatch.setattr("facetag.erasure.retention.ROUND_S", 0.0)
    monkeypatch.setattr("facetag.erasure.retention.BATCH", 2)
    keys = [image_key("local", f"{number:064x}", ".jpg") for number in range(3)]
    with transaction(sessions) as session:
        images = [NewImage(key=key, name=key, bucket=storage.bucket) for key in keys]
        wish = LabelWish(counts_only=True)
        job, _ = jobs.create_job(session, tenant_id="local", images=images, wish=wish)
    for key in keys:
        storage.put(key, b"photo", "image/jpeg")
    end(sessions, job.id)
    assert forget_counted(sessions, bucket=storage.bucket) == 2
    assert work_off(sessions, storage) == 0, "more tombstones will come"
    assert forget_counted(sessions, bucket=storage.bucket) == 1
    work_off(sessions, storage)
    assert not any(map(storage.exists, keys))
    assert [(action, number) for action, _, _, number in audit(sessions)] == [
        ("photos forgotten", 2),
        ("photos forgotten", 1),
        ("objects erased", 3),
    ]


def test_no_job_is_begun_after_the_time_to_give_up_photos(sessions, storage, monkeypatch):
    monkeypatch.setattr("facetag.erasure.retention.ROUND_S", 0.0)
    for _ in range(2):
        end(sessions, make_kept(sessions, storage, keep=False))
    assert [give_up_photos(sessions, bucket=storage.bucket) for _ in range(3)] == [1, 1, 0]
