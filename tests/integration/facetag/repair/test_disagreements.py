"""Rows, stored objects and counts that disagree are repaired, and nothing else is touched."""

from datetime import timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from facetag import jobs
from facetag.access.audit import list_lines
from facetag.db.engine import transaction
from facetag.db.tables import ImageState
from facetag.jobs import NewImage
from facetag.repair.disagreements import Repaired, repair
from facetag.storage.object_keys import image_key, thumbnail_key
from facetag_cli.main import main
from tests.integration.facetag.factories import (
    TENANT,
    assert_counts_are_true,
    read_job,
    run_images,
)
from tests.integration.worker.harness import environment

pytestmark = pytest.mark.integration

NOTHING = Repaired(0, 0, 0, 0, 0, ())


def key_of(number):
    return image_key(TENANT, f"{number:064x}", ".jpg")


@pytest.fixture
def make_job(sessions, storage):
    """Make a job of photos by number, of which some are not in storage."""

    def make(*numbers, lacking=()):
        for number in set(numbers) - set(lacking):
            storage.put(key_of(number), b"photo", "image/jpeg")
        images = [NewImage(key_of(number), f"{number}.jpg", storage.bucket) for number in numbers]
        with transaction(sessions) as session:
            job, _ = jobs.create_job(session, tenant_id=TENANT, images=images)
            return job.id

    return make


def change(sessions, statement, **values):
    with transaction(sessions) as session:
        session.execute(text(statement), values)


def test_what_agrees_is_left_alone(sessions, storage, make_job):
    job_id = make_job(1, 2)
    storage.put(thumbnail_key(TENANT, storage.bucket, key_of(1)), b"small", "image/webp")
    storage.put(f"tenants/{TENANT}/elsewhere/a", b"not a photo", "text/plain")
    change(sessions, "INSERT INTO count_changes (job_id, queued, running, tagged, no_face, failed,"
           " cancelled, reused) VALUES (:job, -1, 1, 0, 0, 0, 0, 0)", job=job_id)  # fmt: skip
    change(sessions, "UPDATE images SET state = 'running' WHERE position = 0")
    assert repair(sessions, storage, dry_run=False, spared=timedelta(0)) == NOTHING
    assert storage.exists(f"tenants/{TENANT}/elsewhere/a")


@pytest.mark.parametrize("key", ["2024/x.jpg", "ü 照片/'a\\b' %2F.jpg"])
def test_the_thumbnail_of_a_photo_of_a_source_bucket_is_named_by_its_row(
    sessions, storage, make_job, key
):
    make_job(1)
    change(sessions, "UPDATE images SET bucket = 'a-source', key = :key", key=key)
    storage.delete([key_of(1)])
    storage.put(thumbnail_key(TENANT, "a-source", key), b"small", "image/webp")
    assert repair(sessions, storage, dry_run=False, spared=timedelta(0)) == NOTHING


def test_photos_that_storage_lacks_fail_where_they_wait_and_keep_results(
    sessions, storage, make_job
):
    labelled = make_job(1, lacking=[1])
    run_images(sessions, labelled, {0: ImageState.TAGGED})
    waiting = make_job(2, 3, 4, lacking=[2, 3])
    found = repair(sessions, storage, dry_run=False)
    assert (found.lacking, found.labelled) == (2, 1)
    with transaction(sessions) as session:
        lines, _ = jobs.list_images(session, waiting, tenant_id=TENANT, limit=9)
    assert [line["state"] for line in lines] == ["failed", "failed", "queued"]
    assert lines[0]["error"] == {
        "code": "object_missing",
        "message": f"There is no object s3://{storage.bucket}/{key_of(2)}.",
    }
    assert read_job(sessions, labelled).state == "completed"
    assert_counts_are_true(sessions)


def test_a_job_that_waited_for_lost_photos_alone_is_closed(sessions, storage, make_job):
    job_id = make_job(1, 2, lacking=[1, 2])
    repair(sessions, storage, dry_run=False)
    assert read_job(sessions, job_id).state == "failed"


def test_objects_that_no_row_names_are_deleted_and_written_down(sessions, storage, make_job):
    make_job(1)
    thumbnail = thumbnail_key(TENANT, storage.bucket, key_of(9))
    for key in (key_of(9), thumbnail, f"tenants/{TENANT}/predict/left"):
        storage.put(key, b"photo", "image/jpeg")
    assert repair(sessions, storage, dry_run=False, spared=timedelta(0)).unnamed == 3
    assert not storage.exists(key_of(9))
    assert not storage.exists(thumbnail)
    assert storage.exists(key_of(1))
    with transaction(sessions) as session:
        actions = [(line.action, line.number) for line in list_lines(session, tenant_id=TENANT)]
    assert actions == [("objects erased", 3), ("unnamed objects buried", 3)]


def test_an_upload_of_the_last_day_stays_for_the_job_that_may_come(sessions, storage):
    storage.put(key_of(1), b"photo", "image/jpeg")
    found = repair(sessions, storage, dry_run=False)
    assert (found.unnamed, found.young) == (0, 1)
    assert storage.exists(key_of(1))


def test_an_old_upload_of_which_a_client_was_told_stays(sessions, storage):
    storage.put(key_of(1), b"photo", "image/jpeg")
    change(sessions, "INSERT INTO upload_promises VALUES (:key, :tenant, now() + interval '1 h')",
           key=key_of(1), tenant=TENANT)  # fmt: skip
    assert repair(sessions, storage, dry_run=False, spared=timedelta(0)) == NOTHING
    assert storage.exists(key_of(1))


def test_wrong_counts_are_counted_again_and_a_job_that_ended_too_early_goes_on(
    sessions, storage, make_job
):
    open_job, ended_job = make_job(1, 2), make_job(3)
    change(sessions, "UPDATE jobs SET queued = 7, failed = 1, total = 8 WHERE id = :job",
           job=open_job)  # fmt: skip
    change(sessions, "UPDATE jobs SET queued = 0, tagged = 1, state = 'completed',"
           " finished_at = now() WHERE id = :job", job=ended_job)  # fmt: skip
    assert repair(sessions, storage, dry_run=False).miscounted == 2
    assert_counts_are_true(sessions)
    again = read_job(sessions, ended_job)
    assert (again.state, again.finished_at, again.total) == ("running", None, 1)
    assert repair(sessions, storage, dry_run=False) == NOTHING


def test_a_bundle_without_its_files_is_named(sessions, storage):
    change(sessions, "INSERT INTO models (tenant_id, version, state, manifest, files) VALUES"
           " (:tenant, 'v9', 'candidate', '{}', CAST(:files AS jsonb))",
           tenant=TENANT, files='{"card.md": "00"}')  # fmt: skip
    assert repair(sessions, storage, dry_run=True).bundles == ("v9",)


def test_the_command_tries_first_and_then_says_what_it_did(sessions, settings, storage, make_job):
    job_id = make_job(1, 2, lacking=[2])
    here = environment(settings.model_copy(update={"s3_bucket": storage.bucket}))
    tried = CliRunner().invoke(main, ["sweep", "--repair", "--dry-run"], env=here)
    assert tried.exit_code == 0, tried.output
    assert "Waiting photos that storage lacks: 1 (to fail as object_missing)" in tried.output
    assert read_job(sessions, job_id).failed == 0
    done = CliRunner().invoke(main, ["sweep", "--repair"], env=here)
    assert "Waiting photos that storage lacks: 1 (failed as object_missing)" in done.output
    assert read_job(sessions, job_id).failed == 1
    again = CliRunner().invoke(main, ["sweep", "--repair"], env=here)
    assert again.output == "Rows, stored objects and counts agree.\n"


def test_dry_run_alone_is_a_mistake():
    answer = CliRunner().invoke(main, ["sweep", "--dry-run"])
    assert answer.exit_code == 2
    assert "--repair" in answer.output


def test_a_photo_that_was_stored_meanwhile_does_not_fail(sessions, storage, make_job):
    """Its row waits and its object came after the listing: a second look finds it."""
    job_id = make_job(1, lacking=[1])
    late = LateStorage(storage, key_of(1))
    assert repair(sessions, late, dry_run=False).lacking == 0
    assert read_job(sessions, job_id).failed == 0


class LateStorage:
    """A bucket to which one more photo is written after it was listed."""

    def __init__(self, storage, key):
        self._storage, self._key = storage, key
        self.bucket, self.operator = storage.bucket, storage.operator

    def list_prefix(self, *arguments):
        page = self._storage.list_prefix(*arguments)
        self._storage.put(self._key, b"photo", "image/jpeg")
        return page

    def exists(self, key):
        return self._storage.exists(key)
