"""Fits that are killed and gone on with, and what fitting imports."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import pytest

from facetag.errors import FacetagError
from facetag.vision.bundle import open_bundle
from facetag.vision.network.attributes import build_network
from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.data.splits import VALIDATION, split_held_out
from facetag_trainer.evaluation.table_1_metrics import table_1
from facetag_trainer.fit.batches import Feeder
from facetag_trainer.fit.loop import (
    FitPlan,
    FitProgress,
    fit,
    predict_held_out,
    read_history,
)
from facetag_trainer.fit.losses import compile_network
from tests.unit.trainer.tiny_caches import write_tiny_cache
from tests.unit.trainer.tiny_fits import STEPS

PLAN = FitPlan(epochs=2, batch_size=8, frozen_layers=0, learning_rate=0.01)
pytestmark = pytest.mark.timeout(400)
"""Four processes that import TensorFlow, on a machine that may be busy."""
ROOT = Path(__file__).resolve().parents[4]


def start_fit(*arguments, backend="tensorflow"):
    fixed = {
        "KERAS_BACKEND": backend,
        "OMP_NUM_THREADS": "1",
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.unit.trainer.tiny_fits", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **fixed, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    output, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors[-2000:]
    return steps_in(output)


def steps_in(output):
    """Return what was fitted on, by (epoch, step); a line that a kill cut off is not counted."""
    whole = [line for line in output.splitlines(keepends=True) if line.endswith("\n")]
    numbers = [tuple(map(int, line.split())) for line in whole]
    return {(epoch, step): samples for epoch, step, *samples in numbers}


def kill_at_random(process, chance):
    """Kill after a random step, at a random moment of it; return the steps until then."""
    output = ""
    for _ in range(chance.randrange(1, STEPS // 2)):
        output += process.stdout.readline()
    time.sleep(chance.uniform(0, 0.3))
    process.kill()
    rest, errors = process.communicate(timeout=60)
    assert process.returncode in {-signal.SIGKILL, 0}, errors[-2000:]
    return steps_in(output + rest)


def arrays_of(run):
    with np.load(run / "checkpoint.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


def test_a_fit_killed_at_random_moments_ends_as_an_undisturbed_one(tmp_path):
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    write_tiny_cache(tmp_path / "cache")
    undisturbed = start_fit("everything", tmp_path / "cache", tmp_path / "whole")
    seen = {}
    for _ in range(2):
        seen |= kill_at_random(
            start_fit("everything", tmp_path / "cache", tmp_path / "cut"), chance
        )
    seen |= finish(start_fit("everything", tmp_path / "cache", tmp_path / "cut"))
    samples = finish(undisturbed)
    assert len(samples) == STEPS
    assert seen == samples, f"seed {seed}: other samples, or another order of them"

    whole, cut = arrays_of(tmp_path / "whole"), arrays_of(tmp_path / "cut")
    assert whole.keys() == cut.keys()
    for name, values in whole.items():
        assert np.allclose(cut[name], values, atol=1e-5), f"seed {seed}: {name} differs"
    seeds = [values for values in whole.values() if values.dtype.kind in "iu" and values.size == 2]
    assert len(seeds) > 3, "the state of dropout's seeds is part of a checkpoint"
    one, two = (read_history(tmp_path / run) for run in ("whole", "cut"))
    assert [row["epoch"] for row in two] == [0, 1, 2]
    for figure in ("score", "loss", "learning_rate"):
        assert np.allclose(
            *([row[figure] for row in rows] for rows in (one, two)), rtol=1e-4, atol=1e-7
        ), figure


def test_going_on_does_not_begin_anew(tmp_path):
    write_tiny_cache(tmp_path / "cache")
    process = start_fit("plain", tmp_path / "cache", tmp_path / "run")
    while process.stdout.readline().split()[:2] != ["1", "4"]:
        assert process.poll() is None
    process.kill()
    process.communicate(timeout=60)
    resumed = finish(start_fit("plain", tmp_path / "cache", tmp_path / "run"))
    # A checkpoint came after the third step of the second epoch.
    assert min(resumed) >= (1, 4)


def test_a_fit_on_jax_sees_the_same_samples_and_ends_with_a_bundle(tmp_path):
    write_tiny_cache(tmp_path / "cache")
    fits = {
        backend: start_fit("everything", tmp_path / "cache", tmp_path / backend, backend=backend)
        for backend in ("jax", "tensorflow")
    }
    samples = [finish(process) for process in fits.values()]
    assert samples[0] == samples[1]
    assert len(samples[0]) == STEPS
    for backend in fits:
        figures = [row["age"]["rmse"] for row in read_history(tmp_path / backend)]
        assert len(figures) == 3
        assert np.isfinite(figures).all()
        network = open_bundle(tmp_path / backend / "bundle").load_network()
        assert all(np.isfinite(values).all() for values in network.get_weights())


def weights_of(network):
    return [np.asarray(value) for value in network.weights]


@dataclass
class Fitted:
    network: keras.Model
    spec: NetworkSpec
    cache: CropCache
    plan: FitPlan
    folder: Path
    before: list[np.ndarray]
    steps: list[FitProgress]
    rows: list[dict]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """One fit of four epochs, which several tests look at."""
    spec = NetworkSpec(backbone="tiny", input_size=32, hidden_units=8)
    cache = write_tiny_cache(tmp_path_factory.mktemp("fit") / "cache")
    folder = tmp_path_factory.mktemp("run")
    keras.utils.set_random_seed(7)
    network, steps, rows = build_network(spec), [], []
    plan, before = replace(PLAN, epochs=4), weights_of(network)
    fit(network, spec, cache, plan, folder, on_step=steps.append, on_epoch=rows.append)
    return Fitted(network, spec, cache, plan, folder, before, steps, rows)


def test_every_step_and_every_epoch_is_reported(fitted):
    assert [(each.epoch, each.step) for each in fitted.steps] == [
        (epoch, step) for epoch in range(4) for step in range(1, 7)
    ]
    assert all(np.isfinite(each.loss) and each.images_per_s > 0 for each in fitted.steps)
    assert [row["epoch"] for row in fitted.rows] == [0, 1, 2, 3]
    assert fitted.rows == read_history(fitted.folder)


def test_a_fit_learns_from_what_it_is_shown(fitted):
    assert fitted.rows[-1]["age"]["rmse"] < fitted.rows[0]["age"]["rmse"]
    changed = [
        not np.array_equal(one, two)
        for one, two in zip(fitted.before, weights_of(fitted.network), strict=True)
    ]
    assert all(changed)


def age_error(network, cache):
    """Return the age RMSE on the images that choose; the calibration's and holdout's do not."""
    outputs = predict_held_out(network, Feeder(cache, ("age", "gender", "race"), 8, 1, PLAN.jitter))
    chosen = split_held_out(cache.hashes[cache.validation]) == VALIDATION
    assert 0 < chosen.sum() < 12
    ages = cache.labels["age"][cache.validation][chosen]
    return table_1({"age": ages}, {"age": outputs["age"][chosen]})["age"]["rmse"]


def test_a_network_ends_with_its_best_weights(fitted):
    best = min(fitted.rows, key=lambda row: row["score"])
    error = age_error(fitted.network, fitted.cache)
    assert error == pytest.approx(best["age"]["rmse"], rel=1e-3)


def test_a_plan_that_keeps_the_last_epoch_ends_with_it(tmp_path, tiny_spec):
    # A rate far too high: the best epoch is not the last.
    plan = replace(PLAN, epochs=4, learning_rate=1.0, warm_up_steps=1, averaging=0.0)
    keras.utils.set_random_seed(2)
    cache, network = write_tiny_cache(tmp_path / "cache"), build_network(tiny_spec)
    fit(network, tiny_spec, cache, replace(plan, keep="last"), tmp_path)
    rows = read_history(tmp_path)
    assert min(row["score"] for row in rows[:-1]) < rows[-1]["score"]
    assert age_error(network, cache) == pytest.approx(rows[-1]["age"]["rmse"], rel=1e-3)


def test_the_best_weights_count_where_the_last_are_others(fitted, tmp_path):
    folder = shutil.copytree(fitted.folder, tmp_path / "run")
    best, other = build_network(fitted.spec), build_network(fitted.spec)
    best.save_weights(folder / "kept.weights.h5")
    fit(other, fitted.spec, fitted.cache, fitted.plan, folder)
    for one, two in zip(weights_of(other), weights_of(best), strict=True):
        assert np.array_equal(one, two)


def fit_from_seed(spec, cache, plan, folder):
    keras.utils.set_random_seed(7)
    network = build_network(spec)
    fit(network, spec, cache, plan, folder / "run")
    (folder / "run" / "checkpoint.npz").rename(folder / "checkpoint.npz")
    return network


def test_a_fit_that_no_longer_improves_stops_early_and_stays_stopped(tmp_path, tiny_spec):
    cache, scores = write_tiny_cache(tmp_path / "cache"), []
    # A rate far too high: the first epochs' luck does not last.
    plan = replace(PLAN, epochs=12, learning_rate=1.0, warm_up_steps=1, stop_after=2)
    fit(
        build_network(tiny_spec),
        tiny_spec,
        cache,
        plan,
        tmp_path,
        on_epoch=lambda row: scores.append(row["score"]),
    )
    assert len(scores) < 12
    assert len(scores) - 1 - scores.index(min(scores)) == 2
    fit(build_network(tiny_spec), tiny_spec, cache, plan, tmp_path, on_step=pytest.fail)


def test_a_fit_that_keeps_its_last_epoch_runs_to_its_end(tmp_path, tiny_spec):
    cache, scores = write_tiny_cache(tmp_path / "cache"), []
    plan = replace(PLAN, keep="last", epochs=6, learning_rate=1.0, warm_up_steps=1, stop_after=1)
    network = build_network(tiny_spec)
    fit(network, tiny_spec, cache, plan, tmp_path, on_epoch=lambda row: scores.append(row))
    assert len(scores) == 6


def test_an_averaged_fit_measures_its_average_and_goes_on_with_its_last_weights(
    tmp_path, tiny_spec
):
    cache, ends = write_tiny_cache(tmp_path / "cache"), []
    for averaging in (0.0, 0.9):
        network = fit_from_seed(tiny_spec, cache, replace(PLAN, averaging=averaging), tmp_path)
        ends.append((weights_of(network), arrays_of(tmp_path)))
        shutil.rmtree(tmp_path / "run")
    (last, plain), (average, averaged) = ends
    count = len(last)
    # The average is what is kept, and what is fitted is as it would have been without.
    assert not any(
        np.allclose(one, two) for one, two in zip(last, average, strict=True) if one.ndim > 1
    )
    for index in range(count):
        assert np.allclose(plain[f"v{index}"], averaged[f"v{index}"], atol=1e-5)


def test_a_finished_fit_is_not_fitted_again(fitted):
    other, steps = build_network(fitted.spec), []
    fit(other, fitted.spec, fitted.cache, fitted.plan, fitted.folder, on_step=steps.append)
    assert steps == []
    for one, two in zip(weights_of(fitted.network), weights_of(other), strict=True):
        assert np.array_equal(one, two)


def test_the_score_adds_up_the_heads_errors_in_units_of_the_papers(fitted):
    for row in fitted.rows:
        parts = [
            row["age"]["rmse"] / 8.70,
            (1 - row["gender"]["accuracy"]) / 0.0761,
            (1 - row["race"]["accuracy"]) / 0.1693,
        ]
        assert row["score"] == pytest.approx(sum(parts) / 3)


@pytest.mark.parametrize("held_out", [0, 60])
def test_a_set_with_nothing_on_one_side_is_refused(tmp_path, tiny_network, tiny_spec, held_out):
    cache = write_tiny_cache(tmp_path / "cache", held_out=held_out)
    with pytest.raises(FacetagError, match=f"Of 60 images {held_out} are held out"):
        fit(tiny_network, tiny_spec, cache, PLAN, tmp_path)


def test_a_loss_that_is_no_number_stops_the_fit(tmp_path, tiny_network, tiny_spec):
    cache = write_tiny_cache(tmp_path / "cache", labels={"age": np.full(60, 1e30)})
    with pytest.raises(FloatingPointError, match="epoch 0, step 0"):
        fit(tiny_network, tiny_spec, cache, PLAN, tmp_path)


def test_a_head_without_labels_is_left_alone_while_others_learn(tmp_path):
    spec = NetworkSpec(backbone="tiny", input_size=32, hidden_units=8, heads=("gender", "race"))
    network = build_network(spec)
    cache = write_tiny_cache(tmp_path / "cache", labels={"race": np.full(60, np.nan)})
    before = {name: np.asarray(network.get_layer(name).kernel) for name in spec.heads}
    fit(network, spec, cache, replace(PLAN, epochs=1, weight_decay=0.0), tmp_path)
    (row,) = read_history(tmp_path)
    assert set(row) == {"epoch", "loss", "learning_rate", "score", "gender"}
    assert np.array_equal(network.get_layer("race").kernel, before["race"])
    assert not np.array_equal(network.get_layer("gender").kernel, before["gender"])


@pytest.mark.parametrize(("epochs", "steps"), [(2, 10), (6, 100), (6, 800)])
def test_the_rate_rises_then_falls_over_all_of_the_fit(tiny_network, tiny_spec, epochs, steps):
    plan = FitPlan(epochs=epochs, learning_rate=1e-3, warm_up_steps=300)
    compile_network(tiny_network, tiny_spec, plan, steps)
    rate = keras.optimizers.schedules.deserialize(
        keras.optimizers.schedules.serialize(tiny_network.optimizer._learning_rate)
    )
    total = epochs * steps
    rates = np.array([float(rate(step)) for step in range(0, total, max(1, total // 100))])
    peak = int(rates.argmax())
    assert rates[0] == 0
    assert rates.max() == pytest.approx(1e-3, rel=0.05)
    assert 0 < peak <= len(rates) * 0.35
    assert (np.diff(rates[peak:]) <= 0).all()
    assert rates[(peak + len(rates)) // 2] == pytest.approx(5e-4, rel=0.15)
    assert float(rate(total)) == pytest.approx(2e-6, rel=0.01)


STUB = """
class _Anything:
    def __getattr__(self, name):
        return _Anything()

    def __or__(self, other):
        return self

    def __call__(self, *arguments, **options):
        return _Anything()

    def __mro_entries__(self, bases):
        return (object,)


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return _Anything()
"""
IMPORTED = "import json, sys, facetag_trainer.fit.loop; print(json.dumps(sorted(sys.modules)))"


def test_fitting_imports_neither_settings_nor_database_nor_tensorflow(tmp_path):
    # Keras itself imports whatever its backend is: a stub in its place shows what we import.
    (tmp_path / "keras.py").write_text(STUB)
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    imported = set(json.loads(done.stdout))
    assert {
        "facetag_trainer.fit.loop",
        "facetag_trainer.data.crop_cache",
        "facetag.vision.network.attributes",
        "keras",
    } <= imported
    assert not imported & {
        "facetag.settings",
        "facetag.db.tables",
        "facetag.db.engine",
        "facetag.vision.image_decoder",
    }
    packages = {name.partition(".")[0] for name in imported}
    assert not packages & {"tensorflow", "sqlalchemy", "pydantic_settings", "mtcnn", "celery"}
