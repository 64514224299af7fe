"""Faults of every kind while jobs run: each image ends once, and as it would have undisturbed."""

import random

import pytest

from tests.faults.fault_harness import Arena, with_lease
from tests.faults.faulting import KINDS, kill_worker, plan_faults
from tests.faults.trial import (
    Stuck,
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
def the_arena(tmp_path_factory):
    with Arena(tmp_path_factory.mktemp("arena"), **with_lease(2.0)) as arena:
        yield arena


@pytest.fixture(scope="module")
def keys(the_arena):
    return store(the_arena, make_photos(IMAGES, random.Random(SEED)))


@pytest.fixture(scope="module")
def reference(the_arena, keys):
    """The lines of a run without faults, whatever a test before left open."""
    the_arena.empty()
    the_arena.start_workers(1)
    lines = run_undisturbed(the_arena, keys)
    the_arena.stop_all()
    return lines


@pytest.fixture
def arena(the_arena):
    """The arena, without workers and sweeper; jobs of tests before may be left open."""
    the_arena.empty()
    yield the_arena
    the_arena.stop_all()


def test_no_image_is_lost_or_doubled_or_changed_by_faults_of_every_kind(arena, keys, reference):
    rng = random.Random(SEED)
    arena.start_sweeper()
    arena.start_workers(1, "--photo-s=0.03", "--concurrency=2")
    plan = plan_faults(len(KINDS), rng)
    verdict = run_with_faults(arena, keys, reference, plan=plan, rng=rng, jobs=4)
    assert verdict.sound, verdict.to_json()
    assert {line["state"] for line in reference.values()} == {"tagged", "no_face", "failed"}
    assert set(verdict.faults) == set(KINDS)


def test_the_suite_fails_where_nobody_sweeps(arena, keys):
    """Were the sweeper off, the dead worker's images would stay in `running` for ever."""
    running = "SELECT count(*) FROM images WHERE state = 'running'"
    arena.start_workers(1, "--photo-s=0.1")
    post(arena, keys)
    arena.wait(lambda: arena.ask(running) > 0, "a chunk is claimed")
    kill_worker(arena, random.Random(SEED))
    with pytest.raises(Stuck):
        wait_for_all(arena, patience_s=8)
    assert arena.ask(running) > 0


def test_a_trial_that_doubles_or_loses_something_is_told_from_a_sound_one(arena, keys, reference):
    arena.start_workers(1)
    verdict = run_with_faults(arena, keys, reference, plan=[], rng=random.Random(1), jobs=1)
    assert verdict.sound
    missing = {**reference, keys[0]: {**reference[keys[0]], "state": "no_face", "faces": []}}
    verdict = run_with_faults(arena, keys, missing, plan=[], rng=random.Random(1), jobs=1)
    assert (verdict.sound, verdict.doubled, verdict.different) == (False, 1, 1)
