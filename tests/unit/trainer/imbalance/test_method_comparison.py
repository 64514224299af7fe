"""A whole comparison on a tiny network: every method, every seed, and going on after a kill."""

from dataclasses import replace

import numpy as np
import pytest

from facetag_trainer.fit.training_run import TrainingPlan
from facetag_trainer.imbalance.imbalance_plan import ImbalancePlan
from facetag_trainer.imbalance.method_comparison import ComparisonWatcher, compare_methods
from tests.unit.trainer.tiny_caches import write_tiny_cache

PLAN = ImbalancePlan(seeds=2, epochs=2, batch_size=16)


class Killed(Exception):
    pass


@pytest.fixture
def cache(tmp_path):
    races = np.random.default_rng(4).permutation([0] * 60 + [1] * 25 + [2] * 20 + [3] * 15)
    return write_tiny_cache(tmp_path / "crops", count=120, held_out=24, labels={"race": races})


@pytest.fixture
def bundle(tiny_bundle):
    training = {"starting_weights": None, "fit": {"balanced": []}}
    return replace(tiny_bundle, manifest={**tiny_bundle.manifest, "training": training})


@pytest.fixture
def network(tiny_spec, bundle):
    return TrainingPlan(tiny_spec, start=bundle)


def written(run):
    return {path.name: path.stat().st_mtime_ns for path in run.rglob("*-*.npy")}


def test_every_method_is_a_row_of_as_many_fits_as_seeds(network, cache, tmp_path):
    found = compare_methods(PLAN, network, cache, tmp_path / "run")
    assert [(row.method, row.fits) for row in found.rows] == [
        ("plain", 2),
        ("weighted", 2),
        ("smote", 2),
    ]
    assert sum(found.images["training"]) == 96
    assert sum(found.images["validation"]) + sum(found.images["judged"]) == 24
    assert found.features["network"]["backbone"] == "tiny"


def test_a_whole_network_is_a_row_beside_them(network, bundle, cache, tmp_path):
    found = compare_methods(PLAN, network, cache, tmp_path / "run", whole=[(bundle, cache)] * 2)
    last = found.rows[-1]
    assert (last.fitted, last.method, last.fits) == ("tiny of all heads, 32 pixels", "plain", 2)
    assert last.figures["accuracy"].spread == 0


def test_a_comparison_that_was_killed_goes_on_with_the_fits_that_there_are(
    network, cache, tmp_path
):
    def die(done, total):
        if done == 4:
            raise Killed

    run = tmp_path / "run"
    with pytest.raises(Killed):
        compare_methods(PLAN, network, cache, run, watcher=ComparisonWatcher(on_fit=die))
    before = written(run)
    assert set(before) == {"plain-1.npy", "weighted-1.npy", "smote-1.npy", "plain-2.npy"}
    seen = []
    watcher = ComparisonWatcher(on_fit=lambda done, total: seen.append((done, total)))
    found = compare_methods(PLAN, network, cache, run, watcher=watcher)
    assert seen[-1] == (6, 6)
    assert {name: written(run)[name] for name in before} == before
    assert found.to_json() == compare_methods(PLAN, network, cache, tmp_path / "whole").to_json()
