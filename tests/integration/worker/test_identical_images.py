"""Photos with the same bytes cost one computation, whoever asks for them and when."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from facetag.db.tables import ImageState
from facetag.errors import ErrorCode
from facetag.jobs import NewImage, cancel_job, create_job, resume_job
from facetag.jobs.counts import apply_left_counts
from facetag.jobs.new_image import LabelWish
from facetag.jobs.reuse import identical_images
from facetag.jobs.reuse.shared_contents import end_waiting
from facetag.labelling.outcomes import Outcome
from facetag.queue.celery_app import make_celery
from facetag.results.image_lines import Face
from facetag_worker.claims import claim_images, finish_chunk, finish_known, release
from facetag_worker.sweeper import Sweeper

pytestmark = pytest.mark.integration

KEY = b"k" * 16
FACE = Face((1, 2, 3, 4), 0.9, {"age": 31.4, "age_range": [26, 37]})


def post(harness, contents, **options):
    images = [
        NewImage(f"key {content} {place}", f"{content} {place}", "facetag", content.encode())
        for place, content in enumerate(contents)
    ]
    with harness.transaction() as session:
        job, _ = create_job(session, tenant_id="local", images=images, **options)
    return job.id


def claim(harness, job_id):
    with harness.transaction() as session:
        return claim_images(session, job_id=job_id, limit=16, lease_s=60.0, worker="w")


def finish(harness, claimed, failing=()):
    """Label claimed photos, those whose name begins with a letter of `failing` in vain."""
    outcomes = [
        Outcome.failure(image.id, ErrorCode.TRUNCATED, "It ends early.")
        if image.name[0] in failing
        else Outcome(
            image.id, ImageState.TAGGED, width=9, height=8, faces=[FACE], stage_ms={"x": 1}
        )
        for image in claimed.images
    ]
    with harness.transaction() as session:
        finish_chunk(session, claimed, outcomes, labelling_key=KEY)
    with harness.transaction() as session:
        end_waiting(session, claimed.image_ids)


def names(claimed):
    return [image.name for image in claimed.images]


def without_names(lines):
    return [{**line, "image": None, "duplicate_of": None} for line in lines]


def test_twins_end_with_the_first_of_them_and_are_counted_as_reused(harness):
    job_id = post(harness, "aabab")
    claimed = claim(harness, job_id)
    assert names(claimed) == ["a 0", "b 2"]
    assert claim(harness, job_id) is None
    finish(harness, claimed, failing="b")
    job = harness.job(job_id)
    assert (job.state, job.tagged, job.failed, job.reused) == ("completed_with_errors", 3, 2, 2)
    a, twin, b, third, last = without_names(harness.lines(job_id))
    assert (a["state"], a["faces"][0]["age"], b["error"]["code"]) == ("tagged", 31.4, "truncated")
    assert (twin, third, last) == (a, a, b)
    assert computed(harness, job_id) == ["a"]


def test_twins_wait_while_the_first_is_given_back(harness):
    job_id = post(harness, "aa")
    claimed = claim(harness, job_id)
    with harness.transaction() as session:
        release(session, claimed, claimed.image_ids)
    assert names(claim(harness, job_id)) == ["a 0"]


def test_of_very_many_twins_the_next_one_is_labelled(harness):
    job_id = post(harness, "aaaaaa")
    (first, *_) = harness.rows(job_id)
    harness.change_images("state = 'tagged', labelling_key = 'k'", job_id, "position = 0")
    with harness.transaction() as session:
        assert identical_images.settle_twins(session, job_id, [first.id], most=2).total() == 2
    rows = harness.rows(job_id)
    assert [row.state for row in rows].count("tagged") == 3
    assert sorted(row.suspicion for row in rows if row.state == "queued") == [-1, -1, 0]


def test_the_sweeper_frees_twins_whose_first_photo_is_gone(harness):
    job_id = post(harness, "aabb")
    with harness.transaction() as session:
        session.execute(text("UPDATE images SET suspicion = -1"))
    sweeper = Sweeper(
        harness.sessions, make_celery(harness.settings), harness.storage, harness.settings
    )
    sweeper.sweep()
    assert names(claim(harness, job_id)) == ["a 0", "b 2"]


def test_a_result_that_another_job_got_meanwhile_is_taken_at_the_claim(harness):
    first, second, fresh = (
        post(harness, "ab"),
        post(harness, "bca"),
        post(harness, "a", reuse=False),
    )
    finish(harness, claim(harness, first))
    with harness.transaction() as session:
        claimed = claim_images(session, job_id=second, limit=16, lease_s=60.0, worker="w")
        left = finish_known(session, claimed, KEY)
    assert names(left) == ["c 1"]
    finish(harness, left)
    job = harness.job(second)
    assert (job.state, job.tagged, job.reused) == ("completed", 3, 2)
    b, _, a = without_names(harness.lines(second))
    assert [a, b] == without_names(harness.lines(first))
    with harness.transaction() as session:
        claimed = claim_images(session, job_id=fresh, limit=16, lease_s=60.0, worker="w")
        assert finish_known(session, claimed, KEY) == claimed


def claim_new(harness, job_id, limit=16):
    """Claim images of a job as workers do; those that are left are to be labelled."""
    with harness.transaction() as session:
        claimed = claim_images(session, job_id=job_id, limit=limit, lease_s=60.0, worker="w")
        return None if claimed is None else finish_known(session, claimed, KEY)


def computed(harness, *job_ids):
    return [row.name[0] for job_id in job_ids for row in harness.rows(job_id) if row.stage_ms]


def test_a_photo_that_another_job_labels_now_gets_its_result(harness):
    first, second = post(harness, "ab"), post(harness, "abca")
    begun = claim_new(harness, first)
    left = claim_new(harness, second)
    assert (names(begun), names(left)) == (["a 0", "b 1"], ["c 2"])
    waiting = harness.job(second)
    assert (waiting.queued, waiting.running) == (3, 1)
    # A job that takes no known results waits for none either.
    assert names(claim_new(harness, post(harness, "a", reuse=False))) == ["a 0"]
    finish(harness, left)
    finish(harness, begun)
    job = harness.job(second)
    assert (job.state, job.tagged, job.reused) == ("completed", 4, 3)
    a, b, _, twin = without_names(harness.lines(second))
    assert [a, b] == [twin, b] == without_names(harness.lines(first))
    assert sorted(computed(harness, first, second)) == ["a", "b", "c"]


def test_a_photo_waits_neither_for_a_dead_worker_nor_for_other_attributes_nor_a_failure(harness):
    other, first = post(harness, "a", wish=LabelWish(("age",))), post(harness, "ab")
    assert names(claim_new(harness, other)) == ["a 0"]
    begun = claim_new(harness, first)
    assert names(begun) == ["a 0", "b 1"]
    harness.change_images("lease_until = now() - interval '1 s'", first, "position = 0")
    second = post(harness, "ab")
    assert names(claim_new(harness, second)) == ["a 0"]
    finish(harness, begun, failing="b")
    assert [row.state for row in harness.rows(second)] == ["running", "queued"]
    harness.change_images("not_before = now()", second)
    assert names(claim_new(harness, second)) == ["b 1"]


def test_workers_of_two_jobs_divide_the_photos_that_both_want(harness):
    contents = [chr(first) for first in range(65, 65 + 60)]
    first, second = post(harness, contents), post(harness, reversed(contents))

    def work(job_id):
        while (claimed := claim_new(harness, job_id, limit=3)) is not None:
            finish(harness, claimed)
        with harness.transaction() as session:
            apply_left_counts(session, job_id)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, [first, second, first, second]))
    states = [harness.job(job_id).state for job_id in (first, second)]
    assert states == ["completed", "completed"]
    assert sorted(computed(harness, first, second)) == contents
    assert min(len(computed(harness, job_id)) for job_id in (first, second)) > 0


def test_a_resumed_job_labels_what_was_left_and_nothing_twice(harness):
    job_id = post(harness, "abcabc")
    claimed = claim(harness, job_id)
    with harness.transaction() as session:
        release(session, claimed, [claimed.images[2].id])
        cancel_job(session, job_id, tenant_id="local")
    finish(harness, claimed)
    assert harness.job(job_id).cancelled == 4
    with harness.transaction() as session:
        resume_job(session, job_id, tenant_id="local")
    with harness.transaction() as session:
        claimed = claim_images(session, job_id=job_id, limit=16, lease_s=60.0, worker="w")
        left = finish_known(session, claimed, KEY)
    finish(harness, left)
    job = harness.job(job_id)
    assert (job.state, job.tagged) == ("completed", 6)
    assert sorted(computed(harness, job_id)) == ["a", "b", "c"]


def test_an_id_that_was_never_given_is_no_twin(harness):
    with harness.transaction() as session:
        assert not identical_images.settle_twins(session, uuid.uuid4(), [1, 2])
