import functools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from facetag.db.tables import ImageState
from facetag.erasure.deleted_jobs import erase_deleted_jobs
from facetag.erasure.purge import purge_job
from facetag.errors import ErrorCode, JobNotFound, JobStateConflict
from facetag.jobs import cancel_job, resume_job
from facetag.jobs.counts import apply_left_counts
from facetag.jobs.lifecycle import end_all_leases
from facetag.labelling.outcomes import Outcome
from facetag.results.image_lines import Face
from facetag_worker.claims import (
    choose_job,
    claim_images,
    claimants,
    expire_leases,
    extend_lease,
    finish_chunk,
    mark_started,
    release,
    waiting_priority,
)
from facetag_worker.lease_heartbeat import Heartbeat

pytestmark = pytest.mark.integration

FACE = Face((1, 2, 3, 4), 0.9, {"age": 31.4, "age_range": [26, 37]})


@pytest.fixture
def claim(harness):
    """Claim images in a transaction of their own."""

    def claim_some(job_id, limit=4, lease_s=60.0, **options):
        with harness.transaction() as session:
            return claim_images(
                session, job_id=job_id, limit=limit, lease_s=lease_s, worker="w", **options
            )

    return claim_some


@pytest.fixture
def finish(harness):
    def finish_all(claim, state=ImageState.NO_FACE):
        outcomes = [Outcome(image.id, state) for image in claim.images]
        with harness.transaction() as session:
            return finish_chunk(session, claim, outcomes)

    return finish_all


def positions(claim):
    return [image.position for image in claim.images]


def test_images_are_claimed_in_order_and_counted(harness, claim):
    job_id = harness.post(["a", "b", "c"])
    assert positions(claim(job_id, limit=2)) == [0, 1]
    job = harness.job(job_id)
    assert (job.state, job.queued, job.running) == ("running", 1, 2)
    assert job.started_at is not None
    assert positions(claim(job_id, limit=2)) == [2]
    assert claim(job_id) is None


def test_no_image_is_claimed_twice(harness, claim):
    job_id = harness.post([str(number) for number in range(60)])
    with ThreadPoolExecutor(6) as threads:
        claims = list(threads.map(lambda _: claim(job_id, limit=5), range(12)))
    claimed = [position for one in claims if one for position in positions(one)]
    assert len(claimed) == len(set(claimed))
    assert harness.job(job_id).running == len(claimed)


def test_suspects_are_claimed_alone_and_last(harness, claim):
    job_id = harness.post(["a", "b", "c", "d"])
    harness.change_images("suspicion = 1", job_id, where="position IN (0, 2)")
    assert positions(claim(job_id)) == [1, 3]
    assert claim(job_id, suspects=False) is None
    assert positions(claim(job_id)) == [0]
    assert positions(claim(job_id)) == [2]


def test_an_image_that_waits_after_a_fault_is_not_claimed_before_its_time(harness, claim):
    job_id = harness.post(["a", "b"])
    harness.change_images("not_before = now() + interval '1 hour'", job_id, where="position = 0")
    assert positions(claim(job_id)) == [1]
    assert claim(job_id) is None
    with harness.transaction() as session:
        assert waiting_priority(session, job_id) is None
        assert choose_job(session) is None


def test_a_job_of_higher_priority_is_chosen_first(harness):
    harness.post(["a"])
    urgent = harness.post(["b"], priority=10)
    with harness.transaction() as session:
        assert choose_job(session) == urgent
        assert choose_job(session, above=10) is None
        assert waiting_priority(session, urgent) == 10


def test_jobs_take_turns(harness, claim, finish):
    first, second = harness.post(["a", "b", "c"]), harness.post(["d"])
    begun = claim(first, limit=1)
    with harness.transaction() as session:
        assert choose_job(session) == second
    finish(begun)
    finish(claim(second))
    with harness.transaction() as session:
        assert choose_job(session) == first


def test_workers_that_choose_in_one_moment_divide_among_busy_jobs(harness, claim):
    jobs = harness.post(["a", "b"]), harness.post(["c", "d"])
    for job_id in jobs:
        claim(job_id, limit=1)
    with harness.transaction() as session:
        chosen = [choose_job(session) for _ in range(60)]
    assert set(chosen) == set(jobs)
    assert min(chosen.count(job_id) for job_id in jobs) >= 10


def test_an_outcome_is_recorded_with_faces_and_provenance(harness, claim):
    job_id = harness.post(["a", "b", "c"])
    claimed = claim(job_id)
    first, second, third = (image.id for image in claimed.images)
    outcomes = [
        Outcome(
            first,
            ImageState.TAGGED,
            width=640,
            height=480,
            faces=[FACE, FACE],
            stage_ms={"fetch": 1.2345, "detect": 20.0},
            model_version="v1",
            incomplete=True,
        ),
        Outcome(second, ImageState.NO_FACE, width=8, height=8, model_version="v1"),
        Outcome.failure(third, ErrorCode.TRUNCATED, "cut \0 off \ud800" + "!" * 1000),
    ]
    with harness.transaction() as session:
        assert finish_chunk(session, claimed, outcomes) == {first, second, third}
    tagged, no_face, failed = harness.lines(job_id)
    assert tagged["state"] == "tagged"
    assert tagged["model"] == "v1"
    assert tagged["incomplete"] is True
    assert "incomplete" not in no_face | failed
    assert [face["box"] for face in tagged["faces"]] == [[1, 2, 3, 4]] * 2
    assert (no_face["state"], no_face["faces"], no_face["width"]) == ("no_face", [], 8)
    assert failed["error"]["code"] == "truncated"
    assert failed["error"]["message"].startswith("cut  off ?!")
    assert harness.rows(job_id)[0].stage_ms == {"fetch": 1.23, "detect": 20.0}
    job = harness.job(job_id)
    assert (job.state, job.tagged, job.no_face, job.failed) == ("completed_with_errors", 1, 1, 1)


def test_a_late_finisher_changes_nothing(harness, claim, finish):
    job_id = harness.post(["a"])
    late = claim(job_id)
    harness.change_images("state = 'queued', claim_token = NULL", job_id)
    with harness.transaction() as session:
        session.connection().exec_driver_sql("UPDATE jobs SET queued = 1, running = 0")
    current = claim(job_id)
    assert finish(late, ImageState.TAGGED) == set()
    assert harness.job(job_id).running == 1
    assert finish(current) == set(current.image_ids)
    assert finish(current, ImageState.TAGGED) == set()
    assert harness.job(job_id).no_face == 1


def test_released_images_wait_longer_each_time_and_are_not_blamed(harness, claim):
    job_id = harness.post(["a", "b"])
    waits = []
    for _ in range(3):
        claimed = claim(job_id)
        with harness.transaction() as session:
            mark_started(session, claimed, 60.0)
            assert release(session, claimed, [claimed.images[0].id], backoff_s=10.0) == 1
            assert release(session, claimed, claimed.image_ids[1:]) == len(claimed.images) - 1
        with harness.transaction() as session:
            wait = "SELECT extract(epoch FROM not_before - now()) FROM images WHERE position = 0"
            waits.append(round(float(session.connection().exec_driver_sql(wait).scalar())))
        harness.change_images("not_before = NULL", job_id)
    assert waits == [10, 20, 40]
    first, second = harness.rows(job_id)
    assert (first.state, first.suspicion, first.releases) == ("queued", 0, 3)
    assert (second.state, second.releases, second.started_at) == ("queued", 0, None)
    assert harness.job(job_id).queued == 2


def test_what_is_released_of_a_cancelled_job_is_cancelled(harness, claim):
    job_id = harness.post(["a", "b"])
    claimed = claim(job_id, limit=1)
    with harness.transaction() as session:
        cancel_job(session, job_id, tenant_id="local")
    assert harness.job(job_id).finished_at is None
    assert claim(job_id) is None
    with harness.transaction() as session:
        release(session, claimed, claimed.image_ids)
    job = harness.job(job_id)
    assert (job.state, job.cancelled) == ("cancelled", 2)
    assert job.finished_at is not None


def test_a_lease_is_extended_only_by_its_holder(harness, claim):
    job_id = harness.post(["a", "b"])
    claimed = claim(job_id, lease_s=1.0)
    before = harness.rows(job_id)
    harness.change_images("claim_token = gen_random_uuid()", job_id, where="position = 1")
    with harness.transaction() as session:
        assert extend_lease(session, claimed, 60.0) == 1
    after = harness.rows(job_id)
    assert after[0].lease_until > before[0].lease_until
    assert after[1].lease_until == before[1].lease_until


def test_a_start_is_recorded_only_by_the_holder(harness, claim):
    job_id = harness.post(["a", "b"])
    claimed = claim(job_id)
    assert [row.started_at for row in harness.rows(job_id)] == [None, None]
    harness.change_images("claim_token = gen_random_uuid()", job_id, where="position = 1")
    with harness.transaction() as session:
        assert mark_started(session, claimed, 60.0) == {claimed.images[0].id}
    assert [row.started_at is None for row in harness.rows(job_id)] == [False, True]


def test_only_the_leases_of_the_dead_are_ended(harness):
    job_id = harness.post(["a", "b", "c"])
    for worker in ("host:1:10", "host:1:11", "host:2:10"):
        with harness.transaction() as session:
            claim_images(session, job_id=job_id, limit=1, lease_s=60.0, worker=worker)
    with harness.transaction() as session:
        assert sorted(claimants(session, "host:1")) == ["host:1:10", "host:1:11"]
        assert expire_leases(session, []) == 0
        assert expire_leases(session, ["host:1:10"]) == 1
    with harness.transaction() as session:
        ended = "SELECT claimed_by FROM images WHERE lease_until <= now()"
        assert session.connection().exec_driver_sql(ended).scalars().all() == ["host:1:10"]
    with harness.transaction() as session:
        assert end_all_leases(session) == 3


def test_what_is_surrendered_is_claimed_by_others_and_finished_once(harness, claim, finish):
    job_id = harness.post(["a", "b"])
    slow = claim(job_id)
    heartbeat = Heartbeat(harness.sessions, 60.0)
    heartbeat.hold(slow)
    with harness.transaction() as session:
        mark_started(session, slow, 60.0)
    assert heartbeat.surrender() == 2
    assert heartbeat.surrender() == 0
    assert [(row.state, row.suspicion) for row in harness.rows(job_id)] == [("queued", 0)] * 2
    assert finish(slow) == set()
    assert len(finish(claim(job_id))) == 2
    assert harness.job(job_id).no_face == 2


def test_a_worker_that_stops_also_gives_back_what_an_outage_had_it_abandon(harness, claim):
    job_id = harness.post(["a", "b"])
    heartbeat = Heartbeat(harness.sessions, 60.0)
    heartbeat.hold(claim(job_id))
    heartbeat.abandon()
    assert heartbeat.surrender() == 2
    assert [row.state for row in harness.rows(job_id)] == ["queued"] * 2


def test_a_job_behind_predictions_can_be_chosen(harness):
    waiting = harness.post(["a"])
    harness.post(["b"], priority=10)
    with harness.transaction() as session:
        assert choose_job(session, below=10) == waiting


def delete(harness, job_id):
    """Cancel and resume a job some times, cancel it, and delete it as soon as it has ended."""
    place = {"bucket": harness.settings.s3_bucket, "actor": "a"}
    changes = [cancel_job, resume_job] * 3 + [cancel_job]
    while True:
        change = changes.pop(0) if changes else functools.partial(purge_job, **place)
        try:
            with harness.transaction() as session:
                change(session, job_id, tenant_id="local")
        except JobStateConflict:
            time.sleep(0.01)
        except JobNotFound:
            return


def test_jobs_that_are_deleted_while_workers_claim_leave_nothing(harness, claim, finish):
    job_ids = [harness.post([f"{job}-{image}" for image in range(20)]) for job in range(5)]
    over = threading.Event()

    def work():
        while not over.is_set():
            for job_id in job_ids:
                if claimed := claim(job_id, limit=3):
                    finish(claimed)
                    with harness.transaction() as session:
                        apply_left_counts(session, job_id)

    with ThreadPoolExecutor(7) as threads:
        working = [threads.submit(work) for _ in range(2)]
        try:
            for deleting in [threads.submit(delete, harness, job_id) for job_id in job_ids]:
                deleting.result(60)
        finally:
            over.set()
        for one in working:
            one.result(60)
    # Rows that a worker held at that moment are left to the sweeper.
    erase_deleted_jobs(harness.sessions, bucket=harness.settings.s3_bucket)
    with harness.transaction() as session:
        for table in ("jobs", "images", "faces", "count_changes"):
            query = text(f"SELECT count(*) FROM {table}")
            assert session.scalar(query) == 0, table
