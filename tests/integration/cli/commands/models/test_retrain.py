"""`facetag retrain` against real servers, with a tiny network and small images without a face."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.integration.cli.retraining_setup import FIT, bundles, first_version, ledger, write_shard
from tests.integration.worker.harness import environment
from tests.unit.trainer.opened_files import count_opened

ROOT = Path(__file__).resolve().parents[5]
pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]


@pytest.fixture
def bench(workshop, settings, facetag, monkeypatch, tmp_path):
    """Run `retrain` with the tiny bundle as the machine's own."""
    monkeypatch.setenv("FACETAG_BUNDLE", str(workshop / "first" / "bundle"))

    def retrain(*arguments):
        options = (*FIT, "--cache", workshop / "cache", "--run", tmp_path / "run")
        shards = [workshop / one if str(one).endswith(".tar") else one for one in arguments]
        return facetag("retrain", *options, *shards)

    return retrain


def test_a_dry_run_says_what_would_change_and_changes_nothing(bench, facetag, settings, workshop):
    run = bench("new.tar", "--earlier", "old.tar", "--dry-run")
    assert run.exit_code == 0, run.output
    assert (
        f"The champion {first_version(workshop)} would be fitted further on new.tar" in run.output
    )
    assert "1 of the champion's 1 shards are available" in run.output
    assert "nothing has changed" in run.output
    assert bundles(facetag) == []
    assert ledger(settings) == {}


def test_shards_are_learnt_one_after_the_other_and_none_twice(bench, facetag, settings, workshop):
    with count_opened() as opened:
        first = bench("new.tar", "--earlier", "old.tar", "--replay", "0.5")
    assert first.exit_code == 0, first.output
    # Read once, and copied into object storage.
    assert (opened["new.tar"], opened["old.tar"]) == (2, 2)
    assert first.output.index("This will take about") < first.output.index("Epoch 1 on")
    made, old = bundles(facetag)
    assert made["parent"] == old["version"] == first_version(workshop)
    assert ledger(settings) == {"old.tar": old["version"], "new.tar": made["version"]}
    shown = json.loads(facetag("models", "show", made["version"], "--format", "json").stdout)
    assert [shard["name"] for shard in shown["shards"]] == ["old.tar", "new.tar"]
    assert shown["shards"][1]["round"] == 1
    assert shown["verdict"]["against"] == old["version"]
    reasons = " ".join(shown["verdict"]["reasons"])
    for measure in ("age RMSE", "gender accuracy", "race accuracy"):
        assert measure in reasons
    # Promoted or not, as the verdict says; and the reasons were printed.
    assert made["state"] == ("champion" if shown["verdict"]["holds"] else "candidate")
    assert shown["verdict"]["for"] == "both"
    assert shown["verdict"]["notes"][-1] in first.output
    assert "│ earlier │ age RMSE" in first.output

    again = bench("new.tar", "--replay", "0.5")
    assert again.exit_code == 1
    assert "The champion was fitted on new.tar already" in again.output
    assert len(bundles(facetag)) == 2

    if made["state"] == "candidate":
        assert facetag("models", "promote", made["version"], "--force").exit_code == 0
    # What the ledger holds is at hand: from the caches, or from object storage.
    later = bench("more.tar", "--no-promote", "--dry-run")
    assert "2 of the champion's 2 shards are available" in later.output
    assert facetag("models", "rollback").exit_code == 0
    assert {row["version"]: row["state"] for row in bundles(facetag)} == {
        old["version"]: "champion",
        made["version"]: "retired",
    }
    refused = bench("new.tar", "--replay", "0.5")
    assert "is no ancestor of the champion" in refused.output


def test_without_an_earlier_shard_only_replay_0_goes_on_and_nothing_is_promoted(bench, facetag):
    refused = bench("new.tar")
    assert refused.exit_code == 1
    assert "give them with --earlier" in refused.output
    run = bench("new.tar", "--replay", "0")
    assert run.exit_code == 0, run.output
    assert "there is no earlier shard to compare" in run.output
    assert [row["state"] for row in bundles(facetag)] == ["candidate", "champion"]


def test_a_shard_with_an_image_of_a_test_set_is_refused_or_the_image_is_left_out(
    bench, settings, workshop
):
    write_shard(workshop / "test.tar", [305, 900, 901])
    refused = bench("new.tar", "--earlier", "old.tar", "--test", "test.tar")
    assert refused.exit_code == 1
    assert "1 images of the shards are in the test of test.tar" in refused.output
    assert ledger(settings) == {}
    shown = bench(
        *("new.tar", "--earlier", "old.tar", "--test", "test.tar", "--leave-out", "--dry-run")
    )
    assert "dropped: 1 image of a test set or a holdout" in shown.output


def test_a_shard_that_is_none_of_the_champions_is_no_earlier_one(bench):
    run = bench("new.tar", "--earlier", "more.tar")
    assert run.exit_code == 1
    assert "more.tar is not one of the champion's shards" in run.output


def test_a_killed_retraining_leaves_nothing_visible_and_goes_on_and_two_at_once_are_refused(
    bench, facetag, settings, workshop, tmp_path
):
    command = [
        *(sys.executable, "-m", "facetag_cli.main", "retrain", workshop / "new.tar"),
        *("--earlier", workshop / "old.tar", *FIT, "--cache", workshop / "cache"),
        *("--run", tmp_path / "run"),
        *("--epochs", "8"),
    ]
    bundle = workshop / "first" / "bundle"
    variables = os.environ | environment(settings) | {"FACETAG_BUNDLE": str(bundle)}
    process = subprocess.Popen(
        [str(one) for one in command],
        cwd=ROOT,
        env=variables,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + 600
    while not epochs_saved(tmp_path / "run"):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.1)
    second = bench("more.tar", "--earlier", "old.tar")
    assert second.exit_code == 1
    assert "Another retraining runs" in second.output
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert [row["version"] for row in bundles(facetag)] == [first_version(workshop)]
    assert ledger(settings) == {"old.tar": first_version(workshop)}
    (run,) = (tmp_path / "run").iterdir()
    done = epochs_saved(tmp_path / "run")
    finished = bench("new.tar", "--epochs", "8")
    assert finished.exit_code == 0, finished.output
    assert [one.name for one in (tmp_path / "run").iterdir()] == [run.name]
    # The epochs before the kill were not fitted again.
    assert f"Epoch {done} on validation" not in finished.output
    assert "Epoch 8 on validation" in finished.output
    assert len(bundles(facetag)) == 2


def epochs_saved(runs):
    """Return how many epochs are in the checkpoint of the only run: what a kill cannot undo."""
    for checkpoint in runs.glob("*/checkpoint.npz"):
        with np.load(checkpoint) as arrays:
            return int(arrays["place"][0])
    return 0
