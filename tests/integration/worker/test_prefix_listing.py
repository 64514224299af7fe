import uuid
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from facetag.db.tables import JobState
from facetag.errors import ObjectMissing, StorageRefused, StorageUnavailable
from facetag.jobs import cancel_job, create_prefix_job
from facetag.storage.client import ListedObject
from facetag_worker.prefix_listing import list_prefix

pytestmark = pytest.mark.integration

SOURCE = "archive"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Index:
    """Keys in pages of two; a fault in the place of a page is raised once."""

    def __init__(self, *pages):
        self.pages = list(pages)
        self.asked = []

    def list_prefix(self, bucket, prefix, cursor, _limit):
        assert (bucket, prefix) == (SOURCE, "p/")
        self.asked.append(cursor)
        number = 0 if cursor is None else int(cursor)
        page = self.pages[number]
        if isinstance(page, Exception):
            self.pages[number] = []
            raise page
        last = number == len(self.pages) - 1
        listed = [ListedObject(key, f'"{key}"', 10, NOW) for key in page]
        return listed, None if last else str(number + 1)


@pytest.fixture
def job_id(harness):
    harness.set(source_buckets=(SOURCE,))
    with harness.transaction() as session:
        job, _ = create_prefix_job(session, tenant_id="local", bucket=SOURCE, prefix="p/")
    return job.id


@pytest.fixture
def list_into(harness, job_id):
    def list_all(index, **options):
        return list_prefix(harness.sessions, index, harness.settings, job_id, **options)

    return list_all


def names(harness, job_id):
    return [line["image"] for line in harness.lines(job_id)]


def test_pages_become_images_in_their_order(harness, job_id, list_into):
    job = list_into(Index(["p/a.jpg", "p/b.txt"], ["p/sub/c.png", "p/d.JPG"]))
    assert job.state == JobState.QUEUED
    assert names(harness, job_id) == ["a.jpg", "sub/c.png", "d.JPG"]
    assert harness.job(job_id).total == 3


def test_a_listing_goes_on_where_a_fault_ended_it(harness, job_id, list_into):
    index = Index(["p/a.jpg"], StorageUnavailable("down"), ["p/c.jpg"])
    with pytest.raises(StorageUnavailable):
        list_into(index)
    job = harness.job(job_id)
    assert (job.state, job.total, job.queued) == ("listing", None, 1)
    assert list_into(index).state == JobState.QUEUED
    assert index.asked == [None, "1", "1", "2"]
    assert names(harness, job_id) == ["a.jpg", "c.jpg"]


def test_a_listing_that_is_told_to_stop_is_left_for_another(harness, job_id, list_into):
    index = Index(["p/a.jpg"], ["p/b.jpg"])
    job = list_into(index, stopping=lambda: bool(index.asked))
    assert (job.state, index.asked) == (JobState.LISTING, [None])


def test_two_listings_of_one_job_double_nothing(harness, job_id, list_into):
    class Interrupted(Index):
        """While the second page is on its way, somebody else lists all of it."""

        def list_prefix(self, bucket, prefix, cursor, limit):
            if cursor == "1":
                list_into(Index(*self.pages))
            return super().list_prefix(bucket, prefix, cursor, limit)

    assert list_into(Interrupted(["p/a.jpg"], ["p/b.jpg"])) is None
    assert names(harness, job_id) == ["a.jpg", "b.jpg"]


def test_a_prefix_without_images_is_a_finished_job(harness, job_id, list_into):
    assert list_into(Index(["p/notes.txt"])).state == JobState.COMPLETED
    assert harness.job(job_id).total == 0


@pytest.mark.parametrize(
    "fault",
    [
        ObjectMissing("There is no bucket archive."),
        StorageRefused("Object storage refuses (AccessDenied)."),
        ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ListObjectsV2"),
    ],
)
def test_a_prefix_that_cannot_be_listed_fails_the_job_with_the_reason(
    harness, job_id, list_into, fault
):
    job = list_into(Index(fault))
    assert job.state == JobState.FAILED
    assert SOURCE in job.error


def test_a_cancelled_or_unknown_job_is_not_listed(harness, job_id, list_into):
    with harness.transaction() as session:
        cancel_job(session, job_id, tenant_id="local")
    index = Index(["p/a.jpg"])
    assert list_into(index) is None
    assert list_prefix(harness.sessions, index, harness.settings, uuid.uuid4()) is None
    assert index.asked == []


def test_a_prefix_ends_at_the_bound_of_its_tenants_images(harness, job_id, list_into):
    harness.set(max_tenant_images=3)
    job = list_into(Index(["p/a.jpg", "p/b.jpg"], ["p/c.jpg", "p/d.jpg"]))
    assert job.state == JobState.FAILED
    assert "FACETAG_MAX_TENANT_IMAGES" in job.error
    assert harness.job(job_id).total == 0
