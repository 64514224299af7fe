"""`facetag retrain --queue` on real trainer worker processes, with a tiny network."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from redis import Redis

from tests.integration.cli.retraining_setup import FIT, bundles, first_version, ledger
from tests.integration.worker.harness import environment

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 600
pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]


@pytest.fixture
def settings(settings, workshop):
    return settings.model_copy(
        update={
            "bundle": workshop / "first" / "bundle",
            "lease_s": 6.0,
            "sweep_interval_s": 0.5,
        }
    )


@pytest.fixture
def queue(workshop, facetag):
    """Ask the queue for a retraining."""

    def queue(*arguments):
        shards = [workshop / one if str(one).endswith(".tar") else one for one in arguments]
        return facetag("retrain", "--queue", *FIT, *shards)

    return queue


@pytest.fixture
def start(settings, tmp_path):
    """Start a command in a process group of its own; what still runs at the end is killed."""
    started = []

    def start_process(*arguments):
        with (tmp_path / "processes.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "facetag_cli.main", *arguments],
                cwd=ROOT,
                env=os.environ | environment(settings),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        started.append(process)
        return process

    yield start_process
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def status(facetag):
    return lambda: json.loads(facetag("retrainings", "list", "--format", "json").stdout)[0]


@pytest.fixture
def wait_until(status, tmp_path):
    """Wait for what the newest retraining's status is to fulfil, and return that status."""

    def wait_until(condition):
        until = time.monotonic() + PATIENCE_S
        while not condition(found := status()):
            assert time.monotonic() < until, (found, (tmp_path / "processes.log").read_text())
            time.sleep(0.3)
        return found

    return wait_until


def has_ended(found):
    return found["finished_at"] is not None


def epochs_told(log):
    return [line.split("Epoch ")[1].split()[0] for line in log.splitlines() if "Epoch " in line]


def test_a_trainer_worker_does_what_was_asked_to_its_end(
    queue, start, facetag, settings, workshop, wait_until, tmp_path
):
    # Without an earlier shard nothing can be replayed, which only the trainer worker can tell.
    asked = queue("new.tar")
    assert asked.exit_code == 0, asked.output
    first = asked.stdout.strip()
    assert f"Retraining {first[:8]} has waited" in facetag("models", "list").stdout
    refused = queue("more.tar")
    assert refused.exit_code == 1
    assert f"Retraining {first[:8]} has waited for a trainer worker since" in refused.output
    # The message is lost: the sweeper rings again.
    with Redis.from_url(settings.require("redis_url")) as redis:
        redis.flushall()
    start("worker", "--trainer")
    start("sweep")
    failed = wait_until(has_ended)
    assert (failed["id"], failed["state"]) == (first, "failed")
    assert "give them with --earlier" in failed["error"]
    assert failed["error"] in facetag("retrainings", "list", first[:8]).stdout

    asked = queue("new.tar", "--earlier", "old.tar", "--replay", "0.5")
    followed = facetag("retrainings", "log", "--follow")
    done = wait_until(has_ended)
    assert asked.stdout.strip() == done["id"]
    old, (made, *_) = first_version(workshop), bundles(facetag)
    assert done["version"] == made["version"]
    holds = done["verdict"]["holds"]
    assert (done["state"], made["state"]) == (
        ("promoted", "champion") if holds else ("refused", "candidate")
    )
    assert ledger(settings) == {"old.tar": old, "new.tar": made["version"]}
    assert done["step"] == done["steps"] > 0
    for text in ("Epoch 1 on validation", "Comparing the candidate", done["verdict"]["reasons"][0]):
        assert followed.stdout.count(text) == 1
    assert followed.exit_code == 0
    assert list((tmp_path / "data" / "trainer" / "runs").iterdir()) == []
    again = queue("new.tar", "--replay", "0.5")
    assert again.exit_code == 1
    assert "The champion was fitted on new.tar already" in again.output


def test_another_trainer_worker_finishes_what_a_killed_one_began(
    queue, start, facetag, settings, workshop, wait_until, tmp_path
):
    first = start("worker", "--trainer")
    start("sweep")
    assert queue("new.tar", "--earlier", "old.tar", "--epochs", "8").exit_code == 0
    runs = tmp_path / "data" / "trainer" / "runs"
    wait_until(lambda found: list(runs.glob("*/history.jsonl")) or has_ended(found))
    beside = facetag("retrain", workshop / "more.tar", "--replay", "0", *FIT)
    assert beside.exit_code == 1
    assert "Another retraining runs" in beside.output or "has been running since" in beside.output
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    (run,) = runs.iterdir()
    done = len((run / "history.jsonl").read_text().splitlines())
    assert 1 <= done < 8
    old = first_version(workshop)
    assert [row["version"] for row in bundles(facetag)] == [old]
    assert ledger(settings) == {"old.tar": old}

    start("worker", "--trainer")
    ended = wait_until(has_ended)
    assert ended["state"] in ("promoted", "refused"), ended
    assert ended["deaths"] == 1
    assert len(bundles(facetag)) == 2
    assert ledger(settings) == {"old.tar": old, "new.tar": ended["version"]}
    told = epochs_told(facetag("retrainings", "log", ended["id"][:8]).stdout)
    # Those before the kill were not fitted again; a line of the last moments may be lost with it.
    assert len(told) == len(set(told))
    assert set(told) >= {str(number) for number in range(done + 1, 9)}


def test_a_stopped_trainer_worker_gives_back_unblamed_and_a_cancelled_retraining_leaves_nothing(
    queue, start, facetag, settings, workshop, wait_until, status
):
    trainer = start("worker", "--trainer")
    assert queue("new.tar", "--earlier", "old.tar", "--epochs", "500").exit_code == 0
    wait_until(lambda found: found["step"] > 0)
    os.kill(trainer.pid, signal.SIGTERM)
    assert trainer.wait(timeout=60) == 0
    found = status()
    assert (found["state"], found["deaths"]) == ("queued", 0)

    trainer = start("worker", "--trainer")
    start("sweep")
    wait_until(lambda now: now["state"] == "running" and now["step"] > found["step"])
    assert facetag("retrainings", "cancel").exit_code == 0
    assert status()["state"] == "cancelled"
    # The worker leaves it, and is there for the next.
    until = time.monotonic() + PATIENCE_S
    while (asked := queue("more.tar", "--earlier", "old.tar", "--epochs", "500")).exit_code:
        assert "Another retraining runs" in asked.output
        assert time.monotonic() < until
        time.sleep(0.5)
    following = wait_until(lambda now: now["step"] > 0 or has_ended(now))
    assert (following["id"], following["state"]) == (asked.stdout.strip(), "running")
    old = first_version(workshop)
    assert [row["version"] for row in bundles(facetag)] == [old]
    assert ledger(settings) == {"old.tar": old}
