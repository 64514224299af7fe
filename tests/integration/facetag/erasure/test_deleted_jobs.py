from dataclasses import replace

import pytest
from sqlalchemy import func, select, text

from facetag.db.engine import transaction
from facetag.db.tables import FaceRow, Image, ImageState, Job, Tombstone
from facetag.erasure import deleted_jobs
from facetag.erasure.deleted_jobs import erase_deleted_jobs, spare_photos
from facetag.erasure.purge import purge_job
from facetag.erasure.tombstones import work_off
from facetag.errors import JobNotFound
from facetag.jobs import NewImage
from facetag.jobs.lifecycle import delete_job
from facetag.storage.object_keys import thumbnail_key
from tests.integration.facetag.factories import (
    BUCKET,
    TENANT,
    add_face,
    add_job,
    new_images,
    read_job,
    run_images,
)

pytestmark = pytest.mark.integration

TAGGED = ImageState.TAGGED
IMAGES = 5_000
FILL = text("""
    WITH added AS (
        INSERT INTO images (tenant_id, job_id, position, bucket, key, name, state)
        SELECT 'local', :job, n, 'facetag', 'tenants/local/images/' || n, n::text, 'tagged'
        FROM generate_series(1, :images) AS n RETURNING id
    )
    INSERT INTO faces (tenant_id, image_id, position, x, y, width, height, confidence, attributes)
    SELECT 'local', id, 0, 1, 1, 9, 9, .99, '{}' FROM added
""")


def purge(sessions, job_id, within_s=1.0):
    with transaction(sessions) as session:
        return purge_job(
            session, job_id, tenant_id=TENANT, bucket=BUCKET, actor="a", within_s=within_s
        )


def count(sessions, table):
    with transaction(sessions) as session:
        return session.scalar(select(func.count()).select_from(table))


def buried(sessions):
    with transaction(sessions) as session:
        return set(session.scalars(select(Tombstone.key)))


def thumbnails(*photos):
    return {thumbnail_key(TENANT, BUCKET, key) for key in photos}


def test_deleting_takes_everything_and_buries_the_objects_nobody_needs(sessions):
    images = [*new_images(3), NewImage("2024/x.jpg", "x.jpg", "a-source"), new_images(1)[0]]
    job_id = add_job(sessions, images)
    run_images(sessions, job_id, dict.fromkeys(range(5), TAGGED))
    with transaction(sessions) as session:
        add_face(session, job_id, 0, 0)
    # Another job, in whatever state, still needs the second image.
    add_job(sessions, new_images(1, start=1))
    gone = {new_images(3)[0].key, new_images(3)[2].key}
    assert purge(sessions, job_id) == 5
    # Photos of a source bucket stay, their thumbnails are ours.
    source = {thumbnail_key(TENANT, "a-source", "2024/x.jpg")}
    assert buried(sessions) == gone | source | thumbnails(*gone)
    assert (count(sessions, Image), count(sessions, FaceRow)) == (1, 0)
    with pytest.raises(JobNotFound):
        read_job(sessions, job_id)


def test_a_large_job_is_gone_at_once_and_its_rows_go_by_and_by(sessions, monkeypatch):
    job_id = add_job(sessions, 1)
    run_images(sessions, job_id, {0: TAGGED})
    with transaction(sessions) as session:
        session.execute(FILL, {"job": job_id, "images": IMAGES})
    purge(sessions, job_id, within_s=0.0)
    with pytest.raises(JobNotFound):
        read_job(sessions, job_id)
    left = IMAGES + 1 - deleted_jobs.BATCH
    assert count(sessions, Image) == count(sessions, FaceRow) == left
    # A round of the sweeper ends in time for its other work.
    with monkeypatch.context() as patch:
        patch.setattr(deleted_jobs, "STEP_S", 0.0)
        patch.setattr(deleted_jobs, "ROUND_S", 0.01)
        assert erase_deleted_jobs(sessions, bucket=BUCKET) == 0
    assert 0 < count(sessions, Image) < left
    assert erase_deleted_jobs(sessions, bucket=BUCKET) == 1
    assert count(sessions, Image) == count(sessions, FaceRow) == count(sessions, Job) == 0


def test_a_photo_that_is_sent_again_is_not_buried_by_rows_that_are_left(sessions):
    images = new_images(deleted_jobs.BATCH + 1)
    job_id = add_job(sessions, images)
    run_images(sessions, job_id, {0: TAGGED})
    with transaction(sessions) as session:
        session.execute(text("UPDATE images SET state = 'tagged'"))
        session.execute(text("UPDATE jobs SET finished_at = now()"))
    purge(sessions, job_id, within_s=0.0)
    first, last = images[0].key, images[-1].key
    assert count(sessions, Image) == 1
    with transaction(sessions) as session:
        spare_photos(session, [first, last], tenant_id=TENANT, bucket=BUCKET)
    assert erase_deleted_jobs(sessions, bucket=BUCKET) == 1
    assert buried(sessions).isdisjoint({first, last} | thumbnails(first, last))
    assert buried(sessions) >= thumbnails(images[1].key)


def test_a_thumbnail_of_a_photo_that_is_sent_again_stays(sessions, storage):
    (image,) = [replace(one, bucket=storage.bucket) for one in new_images(1)]
    thumbnail = thumbnail_key(TENANT, storage.bucket, image.key)
    job_id = add_job(sessions, [image])
    run_images(sessions, job_id, {0: TAGGED})
    with transaction(sessions) as session:
        # As a large job: its rows go by and by.
        delete_job(session, job_id, tenant_id=TENANT)
    with transaction(sessions) as session:
        spare_photos(session, [image.key], tenant_id=TENANT, bucket=storage.bucket)
    add_job(sessions, [image])
    storage.put(thumbnail, b"of the new job", "image/jpeg")
    erase_deleted_jobs(sessions, bucket=storage.bucket)
    work_off(sessions, storage)
    assert storage.exists(thumbnail)
