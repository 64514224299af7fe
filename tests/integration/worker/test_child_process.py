import os
import re
import signal
from pathlib import Path

import pytest
from sqlalchemy import text

from facetag.bundles.registry import list_models
from facetag.db.engine import WORKER_APPLICATION
from facetag.db.tables import Job, JobState
from tests.integration.worker.fake_worker import DEADLY_SIZE
from tests.integration.worker.harness import png

pytestmark = pytest.mark.integration

FLEET = 40
PHOTOS = 40 * FLEET
CONNECTED = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name = :name"
)


def is_ready(harness, children=1):
    return harness.log.read_text().count('"event": "ready"') >= children


def finished(harness, job_id):
    job = harness.job(job_id)
    return job.tagged + job.no_face + job.failed


def assert_each_image_once(harness, job_id, photos):
    """Every photo has one line, in order, with the one face that a white photo has."""
    lines = harness.lines(job_id)
    assert [line["image"] for line in lines] == photos
    assert {line["state"] for line in lines} == {"tagged"}
    assert {len(line["faces"]) for line in lines} == {1}
    assert harness.job(job_id).tagged == len(photos)


def test_a_job_goes_from_its_doorbell_to_its_results(harness, start):
    start("worker")
    keys = [*harness.put(png(), b"no image", png(color="black")), "tenants/local/images/none.png"]
    job_id = harness.post(keys, announced=True)
    assert harness.wait_until_closed(job_id).state == "completed_with_errors"
    assert [line["state"] for line in harness.lines(job_id)] == [
        "tagged",
        "failed",
        "no_face",
        "failed",
    ]


def test_killing_the_worker_in_the_middle_of_a_job_loses_and_doubles_nothing(harness, start):
    keys = harness.put(png()) * 60
    job_id = harness.post(keys, announced=True)
    start("sweeper")
    for killed_after in (8, 24):
        worker = start("worker", "--photo-s", "0.03")
        harness.wait_until(
            lambda many=killed_after: finished(harness, job_id) >= many, "the job is under way"
        )
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
    assert finished(harness, job_id) < 60
    assert harness.job(job_id).running > 0
    start("worker", "--photo-s", "0.03")
    assert harness.wait_until_closed(job_id).state == "completed"
    assert_each_image_once(harness, job_id, keys)
    assert any(row.suspicion for row in harness.rows(job_id))


def test_two_workers_share_a_job_and_double_nothing(harness, start):
    keys = harness.put(png()) * 60
    job_id = harness.post(keys)
    start("worker", "--photo-s", "0.03", "--concurrency", "2")
    start("worker", "--photo-s", "0.03")
    harness.wait_until(lambda: is_ready(harness, 3), "both workers are warm")
    harness.ring(job_id)
    harness.wait_until_closed(job_id)
    assert_each_image_once(harness, job_id, keys)
    assert len({row.claimed_by for row in harness.rows(job_id)}) > 1


def test_one_doorbell_wakes_all_workers_that_wait(harness, start):
    keys = harness.put(png()) * 120
    job_id = harness.post(keys)
    start("worker", "--photo-s", "0.05", "--concurrency", "4")
    harness.wait_until(lambda: is_ready(harness, 4), "all workers are warm")
    harness.ring(job_id, images=1)
    harness.wait_until_closed(job_id)
    assert_each_image_once(harness, job_id, keys)
    assert len({row.claimed_by for row in harness.rows(job_id)}) == 4


def test_an_image_that_kills_every_worker_is_given_up_and_the_others_are_not(harness, start):
    keys = harness.put(png(), png(*DEADLY_SIZE), png())
    job_id = harness.post(keys, announced=True)
    start("sweeper")
    start("worker")
    harness.wait_until_closed(job_id)
    assert [line["state"] for line in harness.lines(job_id)] == ["tagged", "failed", "tagged"]
    assert harness.lines(job_id)[1]["error"]["code"] == "worker_lost"


def test_a_photo_to_predict_does_not_wait_behind_a_large_job(harness, start):
    keys = harness.put(png()) * 200
    start("worker", "--photo-s", "0.03")
    large = harness.post(keys, announced=True)
    harness.wait_until(lambda: finished(harness, large) > 0, "the large job is under way")
    urgent = harness.post(keys[:1], priority=10, announced=True)
    harness.wait_until_closed(urgent)
    assert finished(harness, large) < len(keys) / 2


def test_a_small_job_does_not_wait_behind_all_doorbells_of_a_large_one(harness, start):
    harness.set(drain_s=0.5)
    keys = harness.put(png()) * 200
    start("worker", "--photo-s", "0.03")
    large = harness.post(keys, announced=True)
    harness.wait_until(lambda: finished(harness, large) > 0, "the large job is under way")
    small = harness.post(keys[:4], announced=True)
    harness.wait_until_closed(small)
    assert finished(harness, large) < len(keys) / 2


def test_a_worker_that_is_told_to_stop_gives_back_what_it_has_not_begun(harness, start):
    keys = harness.put(png()) * 60
    job_id = harness.post(keys, announced=True)
    worker = start("worker", "--photo-s", "0.03")
    harness.wait_until(lambda: finished(harness, job_id) > 0, "the job is under way")
    worker.terminate()
    assert worker.wait(60) == 0
    job = harness.job(job_id)
    assert job.running == 0
    assert 0 < job.queued < 60
    assert not any(row.suspicion for row in harness.rows(job_id))
    start("worker")
    harness.wait_until_closed(job_id)
    assert_each_image_once(harness, job_id, keys)


def test_children_die_with_their_parent(harness, start):
    worker = start("worker", "--photo-s", "0.03")
    job_id = harness.post(harness.put(png()) * 200, announced=True)
    harness.wait_until(lambda: finished(harness, job_id) > 0, "the job is under way")
    child = int(harness.rows(job_id)[0].claimed_by.rpartition(":")[2])
    worker.kill()
    worker.wait()
    harness.wait_until(lambda: not Path(f"/proc/{child}/cmdline").exists(), "the child is gone")


def test_nothing_is_claimed_before_the_network_is_warm(harness, start):
    job_id = harness.post(harness.put(png()), announced=True)
    start("worker", "--load-s", "6")
    harness.wait_until(lambda: "loading" in harness.log.read_text(), "the network is being loaded")
    assert harness.job(job_id).queued == 1
    harness.wait_until_closed(job_id)
    # The job is closed a moment before the worker says so in its log.
    harness.wait_until(lambda: "chunk_finished" in harness.log.read_text(), "the chunk is logged")
    assert re.search('"ready".*"chunk_finished"', harness.log.read_text(), re.DOTALL)


def test_a_worker_registers_its_bundle(harness, start):
    start("worker")
    harness.wait_until(lambda: is_ready(harness), "the worker is ready")
    with harness.transaction() as session:
        assert [model.version for model in list_models(session, tenant_id="local")] == ["fake-1"]


def test_a_worker_whose_network_cannot_be_loaded_ends_and_says_why(harness, start):
    job_id = harness.post(harness.put(png()), announced=True)
    worker = start("worker", "--broken")
    assert worker.wait(60) == 1
    assert "this bundle holds no weights" in harness.log.read_text()
    assert harness.job(job_id).queued == 1


def test_a_worker_that_is_told_to_stop_while_it_loads_its_network_ends_at_once(harness, start):
    worker = start("worker", "--load-s", "600")
    harness.wait_until(lambda: "loading" in harness.log.read_text(), "the network is being loaded")
    worker.terminate()
    assert worker.wait(60) == 0


def test_a_worker_without_tables_says_to_migrate(harness, start):
    with harness.transaction() as session:
        session.connection().exec_driver_sql("DROP TABLE faces, images CASCADE")
    assert start("worker").wait(60) == 1
    assert "facetag migrate" in harness.log.read_text()


def test_a_prefix_of_a_source_bucket_is_listed_and_labelled(harness, start):
    keys = harness.put(png(), png())
    folder = keys[0].rpartition("/")[0]
    harness.storage.put(f"{folder}/notes.txt", b"no photo", "text/plain")
    start("worker")
    job_id = harness.post_prefix(f"{folder}/")
    job = harness.wait_until_closed(job_id)
    assert (job.state, job.total, job.tagged) == ("completed", 2, 2)
    assert [line["image"] for line in harness.lines(job_id)] == ["0000.png", "0001.png"]


def test_a_prefix_elsewhere_is_refused(harness, start):
    start("worker")
    job_id = harness.post_prefix("x/", bucket="elsewhere")
    job = harness.wait_until_closed(job_id)
    assert job.state == "failed"
    with harness.transaction() as session:
        assert "elsewhere" in session.get_one(Job, job_id).error


def test_the_images_of_a_dead_child_do_not_wait_for_their_lease(harness, start):
    """The lease is far longer than the test's patience: the child's successor ends it."""
    harness.set(lease_s=600.0)
    keys = harness.put(png()) * 24
    job_id = harness.post(keys, announced=True)
    start("sweeper")
    start("worker", "--photo-s", "0.05")
    harness.wait_until(lambda: finished(harness, job_id) > 0, "the job is under way")
    (child,) = {row.claimed_by for row in harness.rows(job_id) if row.state == "running"}
    os.kill(int(child.rpartition(":")[2]), signal.SIGKILL)
    harness.wait_until_closed(job_id)
    assert_each_image_once(harness, job_id, keys)
    assert len({row.claimed_by for row in harness.rows(job_id)}) == 2
    assert "siblings_buried" in harness.log.read_text()


def test_a_worker_that_is_killed_while_it_warms_up_counts_against_no_image(harness, start):
    job_id = harness.post(harness.put(png()), announced=True)
    start("sweeper")
    for number in range(1, 5):
        worker = start("worker", "--load-s", "600")
        harness.wait_until(
            lambda many=number: harness.log.read_text().count('"loading"') == many, "it is loading"
        )
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
    start("worker")
    assert harness.wait_until_closed(job_id).state == "completed"
    assert harness.rows(job_id)[0].suspicion == 0


@pytest.mark.timeout(300)
def test_forty_worker_processes_share_one_job_evenly(harness, start):
    harness.set(lease_s=60.0)
    (key,) = harness.put(png())
    start("worker", f"--concurrency={FLEET}", "--photo-s=0.4")
    harness.wait_until(lambda: connections(harness) >= FLEET, "the fleet is ready", 120)
    job_id = harness.post([key] * PHOTOS, announced=True)
    job = harness.wait_until_closed(job_id)
    assert job.state == JobState.COMPLETED
    shares = shares_of(harness, job_id)
    assert len(shares) == FLEET
    fair = PHOTOS / FLEET
    assert fair / 2 <= min(shares)
    assert max(shares) <= 2 * fair
    # More would exhaust PostgreSQL long before such a fleet does.
    assert connections(harness) <= 3 * FLEET


def connections(harness):
    with harness.transaction() as session:
        return session.scalar(CONNECTED, {"name": WORKER_APPLICATION})


def shares_of(harness, job_id):
    with harness.transaction() as session:
        rows = session.execute(
            text("SELECT count(*) FROM images WHERE job_id = :id GROUP BY claimed_by"),
            {"id": job_id},
        )
        return [row.count for row in rows]
