import threading
import time
import uuid

import psycopg
import pytest
from sqlalchemy import func, make_url, select

from facetag import jobs
from facetag.db.engine import transaction
from facetag.db.tables import Image, Job, JobState
from facetag.errors import DatabaseUnavailable, IdempotencyConflict
from tests.integration.facetag.factories import (
    BUCKET,
    TENANT,
    add_job,
    assert_counts_are_true,
    new_images,
    read_job,
)

pytestmark = pytest.mark.integration

MANY = 100_000


def test_a_job_holds_its_images_in_the_order_given(sessions):
    names = ["b.jpg", "a.jpg", "Über \t\\N\n'\"/ö 😀.jpg", "b.jpg"]
    images = [jobs.NewImage(f"key {number}", name, BUCKET) for number, name in enumerate(names)]
    job_id = add_job(sessions, images, name="summer", priority=10)
    job = read_job(sessions, job_id)
    assert (job.state, job.name, job.priority) == (JobState.QUEUED, "summer", 10)
    assert (job.total, job.queued) == (4, 4)
    with transaction(sessions) as session:
        rows = session.execute(
            select(
                Image.position, Image.name, Image.key, Image.bucket, Image.state, Image.tenant_id
            )
            .where(Image.job_id == job_id)
            .order_by(Image.id)
        ).all()
    assert rows == [
        (number, name, f"key {number}", BUCKET, "queued", TENANT)
        for number, name in enumerate(names)
    ]
    assert_counts_are_true(sessions)


def test_a_job_without_images_is_completed_at_once(sessions):
    job = read_job(sessions, add_job(sessions, 0))
    assert (job.state, job.total) == (JobState.COMPLETED, 0)
    assert job.finished_at is not None


def test_a_job_of_a_hundred_thousand_images_is_created_in_one_go(sessions):
    images = new_images(MANY)
    began = time.monotonic()
    job_id = add_job(sessions, images)
    print(f"\n{MANY} images created in {time.monotonic() - began:.1f} s")
    assert read_job(sessions, job_id).total == MANY
    assert_counts_are_true(sessions)


def test_a_job_that_fails_halfway_leaves_nothing(sessions):
    images = new_images(3)
    object.__setattr__(images[2], "name", "\0")
    with pytest.raises(psycopg.DataError):
        add_job(sessions, images)
    with transaction(sessions) as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 0


@pytest.mark.parametrize("name", ["a\0b", "half \ud800 a surrogate"])
def test_text_that_the_database_cannot_hold_makes_no_image(name):
    with pytest.raises(ValueError, match="names and keys"):
        jobs.NewImage("key", name, BUCKET)


@pytest.mark.parametrize("blow", ["pg_terminate_backend", "pg_cancel_backend"])
def test_a_copy_that_is_cut_off_is_an_unavailable_database(sessions, settings, blow):
    class CutOff:
        key, bucket, content = "key", BUCKET, None

        @property
        def name(self):
            url = make_url(settings.require("database_url")).set(drivername="postgresql")
            plain = url.render_as_string(hide_password=False)
            with psycopg.connect(plain, autocommit=True) as other:
                other.execute(
                    f"SELECT {blow}(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            return "a photo"

    with pytest.raises(DatabaseUnavailable):
        add_job(sessions, [*new_images(10_000), CutOff()])
    add_job(sessions, 1)
    assert_counts_are_true(sessions)


def test_a_replay_returns_the_first_job_and_adds_nothing(sessions):
    first = add_job(sessions, 3, idempotency_key="k", request_sha256="a")
    with transaction(sessions) as session:
        again, created = jobs.create_job(
            session,
            tenant_id=TENANT,
            images=new_images(3),
            idempotency_key="k",
            request_sha256="a",
        )
    assert (again.id, created) == (first, False)
    assert_counts_are_true(sessions)


def test_an_idempotency_key_with_another_body_is_a_conflict(sessions):
    add_job(sessions, 3, idempotency_key="k", request_sha256="a")
    with pytest.raises(IdempotencyConflict):
        add_job(sessions, 2, idempotency_key="k", request_sha256="b")


def test_idempotency_keys_of_two_tenants_have_nothing_to_do_with_each_other(sessions):
    with transaction(sessions) as session:
        made = [
            jobs.create_job(session, tenant_id=tenant, images=[], idempotency_key="k")
            for tenant in ("one", "two")
        ]
    assert [created for _, created in made] == [True, True]


def test_jobs_without_an_idempotency_key_are_all_new(sessions):
    assert add_job(sessions, 1) != add_job(sessions, 1)


def test_requests_at_the_same_time_with_one_key_make_one_job(sessions):
    together = threading.Barrier(8)
    answers = []

    def request():
        with transaction(sessions) as session:
            # All have their transaction before the first one inserts.
            session.scalar(select(func.count()).select_from(Job))
            together.wait()
            job, created = jobs.create_job(
                session,
                tenant_id=TENANT,
                images=new_images(200),
                idempotency_key="k",
                request_sha256="a",
            )
            answers.append((job.id, created))

    threads = [threading.Thread(target=request) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert len({job_id for job_id, _ in answers}) == 1
    assert sum(created for _, created in answers) == 1
    with transaction(sessions) as session:
        assert session.scalar(select(func.count()).select_from(Image)) == 200


def test_a_prefix_job_waits_to_be_listed(sessions):
    arguments = {
        "tenant_id": TENANT,
        "bucket": "photos",
        "prefix": "2024/",
        "idempotency_key": "k",
        "request_sha256": "a",
    }
    with transaction(sessions) as session:
        job, created = jobs.create_prefix_job(session, **arguments)
        again, created_again = jobs.create_prefix_job(session, **arguments)
    assert (created, created_again, again.id) == (True, False, job.id)
    assert (job.state, job.total) == (JobState.LISTING, None)
    assert (job.source_bucket, job.source_prefix) == ("photos", "2024/")
    assert isinstance(job.id, uuid.UUID)
