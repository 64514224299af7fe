import os
import re
import signal
from pathlib import Path

import pytest

from facetag.bundles.registry import list_models
from facetag.db.tables import Job
from tests.integration.worker.fake_worker import DEADLY_SIZE
from tests.integration.worker.harness import png

pytestmark = pytest.mark.integration


def is_ready(stage):
    return '"event": "ready"' in stage.log.read_text()


def finished(stage, job_id):
    job = stage.job(job_id)
    return job.tagged + job.no_face + job.failed


def assert_each_image_once(stage, job_id, photos):
    """Every photo has one line, in order, with the one face that a white photo has."""
    lines = stage.lines(job_id)
    assert [line["image"] for line in lines] == photos
    assert {line["state"] for line in lines} == {"tagged"}
    assert {len(line["faces"]) for line in lines} == {1}
    assert stage.job(job_id).tagged == len(photos)


def test_a_job_goes_from_its_doorbell_to_its_results(stage, start):
    start("worker")
    keys = [*stage.put(png(), b"no image", png(color="black")), "tenants/local/images/none.png"]
    job_id = stage.post(keys, announced=True)
    assert stage.wait_until_closed(job_id).state == "completed_with_errors"
    assert [line["state"] for line in stage.lines(job_id)] == [
        "tagged",
        "failed",
        "no_face",
        "failed",
    ]


def test_killing_the_worker_in_the_middle_of_a_job_loses_and_doubles_nothing(stage, start):
    keys = stage.put(png()) * 60
    job_id = stage.post(keys, announced=True)
    start("sweeper")
    for killed_after in (8, 24):
        worker = start("worker", "--photo-s", "0.03")
        stage.wait_until(
            lambda many=killed_after: finished(stage, job_id) >= many, "the job is under way"
        )
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
    assert finished(stage, job_id) < 60
    assert stage.job(job_id).running > 0
    start("worker", "--photo-s", "0.03")
    assert stage.wait_until_closed(job_id).state == "completed"
    assert_each_image_once(stage, job_id, keys)
    assert any(row.suspicion for row in stage.rows(job_id))


def test_two_workers_share_a_job_and_double_nothing(stage, start):
    keys = stage.put(png()) * 60
    job_id = stage.post(keys)
    start("worker", "--photo-s", "0.03", "--concurrency", "2")
    start("worker", "--photo-s", "0.03")
    stage.ring(job_id)
    stage.wait_until_closed(job_id)
    assert_each_image_once(stage, job_id, keys)
    assert len({row.claimed_by for row in stage.rows(job_id)}) > 1


def test_an_image_that_kills_every_worker_is_given_up_and_the_others_are_not(stage, start):
    keys = stage.put(png(), png(*DEADLY_SIZE), png())
    job_id = stage.post(keys, announced=True)
    start("sweeper")
    start("worker")
    stage.wait_until_closed(job_id)
    assert [line["state"] for line in stage.lines(job_id)] == ["tagged", "failed", "tagged"]
    assert stage.lines(job_id)[1]["error"]["code"] == "worker_lost"


def test_a_photo_to_predict_does_not_wait_behind_a_large_job(stage, start):
    keys = stage.put(png()) * 200
    start("worker", "--photo-s", "0.03")
    large = stage.post(keys, announced=True)
    stage.wait_until(lambda: finished(stage, large) > 0, "the large job is under way")
    urgent = stage.post(keys[:1], priority=10, announced=True)
    stage.wait_until_closed(urgent)
    assert finished(stage, large) < len(keys) / 2


def test_a_small_job_does_not_wait_behind_all_doorbells_of_a_large_one(stage, start):
    stage.set(drain_s=0.5)
    keys = stage.put(png()) * 200
    start("worker", "--photo-s", "0.03")
    large = stage.post(keys, announced=True)
    stage.wait_until(lambda: finished(stage, large) > 0, "the large job is under way")
    small = stage.post(keys[:4], announced=True)
    stage.wait_until_closed(small)
    assert finished(stage, large) < len(keys) / 2


def test_a_worker_that_is_told_to_stop_gives_back_what_it_has_not_begun(stage, start):
    keys = stage.put(png()) * 60
    job_id = stage.post(keys, announced=True)
    worker = start("worker", "--photo-s", "0.03")
    stage.wait_until(lambda: finished(stage, job_id) > 0, "the job is under way")
    worker.terminate()
    assert worker.wait(60) == 0
    job = stage.job(job_id)
    assert job.running == 0
    assert 0 < job.queued < 60
    assert not any(row.suspicion for row in stage.rows(job_id))
    start("worker")
    stage.wait_until_closed(job_id)
    assert_each_image_once(stage, job_id, keys)


def test_children_die_with_their_parent(stage, start):
    worker = start("worker", "--photo-s", "0.03")
    job_id = stage.post(stage.put(png()) * 200, announced=True)
    stage.wait_until(lambda: finished(stage, job_id) > 0, "the job is under way")
    child = int(stage.rows(job_id)[0].claimed_by.rpartition(":")[2])
    worker.kill()
    worker.wait()
    stage.wait_until(lambda: not Path(f"/proc/{child}/cmdline").exists(), "the child is gone")


def test_nothing_is_claimed_before_the_network_is_warm(stage, start):
    job_id = stage.post(stage.put(png()), announced=True)
    start("worker", "--load-s", "6")
    stage.wait_until(lambda: "loading" in stage.log.read_text(), "the network is being loaded")
    assert stage.job(job_id).queued == 1
    stage.wait_until_closed(job_id)
    # The job is closed a moment before the worker says so in its log.
    stage.wait_until(lambda: "chunk_finished" in stage.log.read_text(), "the chunk is logged")
    assert re.search('"ready".*"chunk_finished"', stage.log.read_text(), re.DOTALL)


def test_a_worker_registers_its_bundle(stage, start):
    start("worker")
    stage.wait_until(lambda: is_ready(stage), "the worker is ready")
    with stage.transaction() as session:
        assert [model.version for model in list_models(session, tenant_id="local")] == ["fake-1"]


def test_a_worker_whose_network_cannot_be_loaded_ends_and_says_why(stage, start):
    job_id = stage.post(stage.put(png()), announced=True)
    worker = start("worker", "--broken")
    assert worker.wait(60) == 1
    assert "this bundle holds no weights" in stage.log.read_text()
    assert stage.job(job_id).queued == 1


def test_a_worker_that_is_told_to_stop_while_it_loads_its_network_ends_at_once(stage, start):
    worker = start("worker", "--load-s", "600")
    stage.wait_until(lambda: "loading" in stage.log.read_text(), "the network is being loaded")
    worker.terminate()
    assert worker.wait(60) == 0


def test_a_worker_without_tables_says_to_migrate(stage, start):
    with stage.transaction() as session:
        session.connection().exec_driver_sql("DROP TABLE faces, images")
    assert start("worker").wait(60) == 1
    assert "facetag migrate" in stage.log.read_text()


def test_a_prefix_of_a_source_bucket_is_listed_and_labelled(stage, start):
    keys = stage.put(png(), png())
    folder = keys[0].rpartition("/")[0]
    stage.storage.put(f"{folder}/notes.txt", b"no photo", "text/plain")
    start("worker")
    job_id = stage.post_prefix(f"{folder}/")
    job = stage.wait_until_closed(job_id)
    assert (job.state, job.total, job.tagged) == ("completed", 2, 2)
    assert [line["image"] for line in stage.lines(job_id)] == ["0000.png", "0001.png"]


def test_a_prefix_elsewhere_is_refused(stage, start):
    start("worker")
    job_id = stage.post_prefix("x/", bucket="elsewhere")
    job = stage.wait_until_closed(job_id)
    assert job.state == "failed"
    with stage.transaction() as session:
        assert "elsewhere" in session.get_one(Job, job_id).error


def test_the_images_of_a_dead_child_do_not_wait_for_their_lease(stage, start):
    """The lease is far longer than the test's patience: the child's successor ends it."""
    stage.set(lease_s=600.0)
    keys = stage.put(png()) * 24
    job_id = stage.post(keys, announced=True)
    start("sweeper")
    start("worker", "--photo-s", "0.05")
    stage.wait_until(lambda: finished(stage, job_id) > 0, "the job is under way")
    (child,) = {row.claimed_by for row in stage.rows(job_id) if row.state == "running"}
    os.kill(int(child.rpartition(":")[2]), signal.SIGKILL)
    stage.wait_until_closed(job_id)
    assert_each_image_once(stage, job_id, keys)
    assert len({row.claimed_by for row in stage.rows(job_id)}) == 2
    assert "siblings_buried" in stage.log.read_text()


def test_a_worker_that_is_killed_while_it_warms_up_counts_against_no_image(stage, start):
    job_id = stage.post(stage.put(png()), announced=True)
    start("sweeper")
    for number in range(1, 5):
        worker = start("worker", "--load-s", "600")
        stage.wait_until(
            lambda many=number: stage.log.read_text().count('"loading"') == many, "it is loading"
        )
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
    start("worker")
    assert stage.wait_until_closed(job_id).state == "completed"
    assert stage.rows(job_id)[0].suspicion == 0
