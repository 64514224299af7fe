"""Faults of every kind while jobs run: each image ends once, and as it would have undisturbed."""

import random

import pytest
from sqlalchemy import update

from facetag.db.tables import Image
from tests.faults.fault_harness import REAL_WORKER, FaultHarness, with_lease
from tests.faults.fault_kinds import KINDS, kill_worker, plan_faults
from tests.faults.long_trial import LOADING_S, make_portraits
from tests.faults.trial import (
    Stuck,
    judge,
    make_photos,
    post,
    run_undisturbed,
    run_with_faults,
    store,
    wait_for_all,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

SEED = 20
IMAGES = 200


@pytest.fixture(scope="module")
def shared_harness(tmp_path_factory):
    with FaultHarness(tmp_path_factory.mktemp("fault_harness"), **with_lease(2.0)) as fault_harness:
        yield fault_harness


@pytest.fixture(scope="module")
def keys(shared_harness):
    return store(shared_harness, make_photos(IMAGES, random.Random(SEED)))


@pytest.fixture(scope="module")
def reference(shared_harness, keys):
    """The lines of a run without faults, whatever a test before left open."""
    shared_harness.empty()
    shared_harness.start_workers(1)
    lines = run_undisturbed(shared_harness, keys)
    shared_harness.stop_all()
    return lines


@pytest.fixture
def fault_harness(shared_harness):
    """The harness, without workers and sweeper; jobs of tests before may be left open."""
    shared_harness.empty()
    yield shared_harness
    shared_harness.stop_all()


def test_no_image_is_lost_or_doubled_or_changed_by_faults_of_every_kind(
    fault_harness, keys, reference
):
    rng = random.Random(SEED)
    fault_harness.start_sweeper()
    fault_harness.start_workers(1, "--photo-s=0.03", "--concurrency=2")
    plan = plan_faults(len(KINDS), rng)
    verdict = run_with_faults(fault_harness, keys, reference, plan=plan, rng=rng, jobs=4)
    assert verdict.sound, verdict.to_json()
    assert {line["state"] for line in reference.values()} == {"tagged", "no_face", "failed"}
    assert set(verdict.faults) == set(KINDS)


@pytest.mark.timeout(900)
def test_a_suspect_gets_the_very_result_that_the_network_gives_any_photo(fault_harness):
    """Every field is compared: the decoder of suspects once handed over other pixels."""
    keys = store(fault_harness, make_portraits(9, random.Random(SEED)))
    fault_harness.start_workers(1, program=REAL_WORKER)
    reference = run_undisturbed(fault_harness, keys, patience_s=LOADING_S)
    fault_harness.stop_workers()
    job_id = post(fault_harness, keys)
    with fault_harness.harness.transaction() as session:
        session.execute(update(Image).where(Image.job_id == job_id).values(suspicion=1))
    fault_harness.start_workers(1, program=REAL_WORKER)
    wait_for_all(fault_harness, patience_s=LOADING_S)
    verdict = judge(fault_harness, [job_id], keys, reference)
    assert verdict.suspects == len(keys)
    assert verdict.sound, verdict.to_json()
    assert {line["state"] for line in reference.values()} == {"tagged", "no_face", "failed"}


def test_the_suite_fails_where_nobody_sweeps(fault_harness, keys):
    """Were the sweeper off, the dead worker's images would stay in `running` for ever."""
    running = "SELECT count(*) FROM images WHERE state = 'running'"
    fault_harness.start_workers(1, "--photo-s=0.2")
    post(fault_harness, keys[:24])
    fault_harness.wait(lambda: fault_harness.ask(running) > 0, "a chunk is claimed")
    kill_worker(fault_harness, random.Random(SEED))
    with pytest.raises(Stuck):
        wait_for_all(fault_harness, patience_s=8)
    assert fault_harness.ask(running) > 0


def test_a_trial_that_doubles_or_loses_something_is_told_from_a_sound_one(
    fault_harness, keys, reference
):
    fault_harness.start_workers(1)
    verdict = run_with_faults(fault_harness, keys, reference, plan=[], rng=random.Random(1), jobs=1)
    assert verdict.sound
    missing = {**reference, keys[0]: {**reference[keys[0]], "state": "no_face", "faces": []}}
    verdict = run_with_faults(fault_harness, keys, missing, plan=[], rng=random.Random(1), jobs=1)
    assert (verdict.sound, verdict.doubled, verdict.different) == (False, 1, 1)
