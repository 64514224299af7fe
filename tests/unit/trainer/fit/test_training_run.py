"""From a cache to a bundle that the service can load."""

import json
import re
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest

from facetag.bundles.bundle_folder import file_sha256
from facetag.errors import FacetagError
from facetag.vision.bundle import open_bundle
from facetag.vision.network.attributes import build_network
from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.training_run import TrainingPlan, train_network, write_run_bundle
from tests.unit.trainer.tiny_caches import write_tiny_cache

pytestmark = pytest.mark.timeout(300)
PLAN = TrainingPlan(
    spec=NetworkSpec(backbone="tiny", input_size=32, hidden_units=8),
    fit=FitPlan(epochs=1, batch_size=8, frozen_layers=2, learning_rate=0.01, averaging=0.0),
)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starting weights of the backbone, and the network that they are of."""
    path = tmp_path_factory.mktemp("start") / "start.weights.h5"
    backbone = build_network(PLAN.spec).get_layer("tiny")
    backbone.save_weights(path)
    return path, backbone


@pytest.fixture(scope="module")
def trained(tmp_path_factory, start):
    folder = tmp_path_factory.mktemp("trained")
    cache = write_tiny_cache(folder / "cache")
    plan = replace(PLAN, backbone_weights=start[0])
    return train_network(plan, cache, folder / "run"), cache, plan


def test_a_run_writes_a_bundle_that_can_be_opened_and_loaded(trained):
    bundle, cache, _ = trained
    opened = open_bundle(bundle.folder)
    assert opened.spec == PLAN.spec
    assert opened.age_range.coverage == 0.8
    outputs = opened.load_network().predict_on_batch(np.zeros((1, 32, 32, 3), np.float32))
    assert set(outputs) == {"age", "gender", "race"}
    assert opened.crop_rule.to_json() == cache.facts["crop"]


def test_the_manifest_says_what_the_network_comes_from(trained, start):
    manifest = trained[0].manifest
    assert manifest["samples"] == {"training": 48, "validation": 12, "dropped": {}}
    assert manifest["shards"] == [{"name": "part.tar", "sha256": "ab" * 32}]
    assert manifest["parent"] is None
    assert manifest["training"]["epochs_done"] == 1
    assert manifest["training"]["starting_weights"] == {
        "file": "start.weights.h5",
        "sha256": file_sha256(start[0]),
    }
    assert manifest["metrics"]["validation"]["age"]["rmse"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-[0-9a-f]{8}", manifest["version"])


def test_the_manifest_names_no_folder_of_the_machine(trained):
    bundle, *_ = trained
    assert str(bundle.folder.parent.parent) not in (bundle.folder / "bundle.json").read_text()


def test_frozen_layers_keep_the_starting_weights(trained, start):
    fitted = trained[0].load_network().get_layer("tiny")
    kernels = [
        (np.asarray(one.kernel), np.asarray(two.kernel))
        for one, two in zip(fitted.layers, start[1].layers, strict=True)
        if hasattr(one, "kernel")
    ]
    assert np.allclose(*kernels[0], atol=1e-3)
    assert not np.allclose(*kernels[1], atol=1e-3)


def test_another_plan_or_other_data_are_refused_in_the_same_folder(trained):
    bundle, cache, plan = trained
    run = bundle.folder.parent
    with pytest.raises(FacetagError, match="another --run folder"):
        train_network(replace(plan, fit=replace(plan.fit, seed=2)), cache, run)
    with pytest.raises(FacetagError, match="another --run folder"):
        train_network(replace(plan, backbone_weights=None), cache, run)
    other = replace(cache, facts={**cache.facts, "shards": {"part.tar": "cd" * 32}})
    with pytest.raises(FacetagError, match="another --run folder"):
        train_network(plan, other, run)


def test_a_finished_run_is_left_as_it_is(trained):
    bundle, cache, plan = trained
    recorded = {**bundle.manifest, "metrics": {"test": {"n": 7}}}
    (bundle.folder / "bundle.json").write_text(json.dumps(recorded))
    steps: list = []
    again = train_network(plan, cache, bundle.folder.parent, on_step=steps.append)
    assert steps == []
    assert again.manifest == recorded


def test_a_run_killed_before_its_bundle_was_whole_writes_the_same_weights(trained, tmp_path):
    bundle, cache, plan = trained
    run = shutil.copytree(bundle.folder.parent, tmp_path / "run")
    (run / "bundle" / "bundle.json").unlink()
    steps: list = []
    again = train_network(plan, cache, run, on_step=steps.append)
    assert steps == []
    weights = zip(again.load_network().weights, bundle.load_network().weights, strict=True)
    assert all(np.array_equal(np.asarray(one), np.asarray(two)) for one, two in weights)


def test_measures_of_the_bundle_are_those_of_the_outputs_it_was_given(tmp_path, tiny_cache):
    held_out = tiny_cache.validation
    outputs = {
        "age": tiny_cache.labels["age"][held_out][:, None] + 3,
        "gender": 1 - tiny_cache.labels["gender"][held_out][:, None],
        "race": np.eye(5, dtype=np.float32)[
            np.nan_to_num(tiny_cache.labels["race"][held_out]).astype(int)
        ],
    }
    bundle = write_run_bundle(tmp_path, build_network(PLAN.spec), PLAN, tiny_cache, outputs)
    measured = json.loads((bundle.folder / "bundle.json").read_text())["metrics"]["validation"]
    assert measured["age"]["rmse"] == pytest.approx(3)
    assert measured["gender"]["accuracy"] == 0
    assert measured["race"]["accuracy"] == 1


def test_a_run_that_starts_from_a_bundle_fits_its_weights_further(trained, tmp_path):
    bundle, cache, _ = trained
    # Such steps are lost in float32.
    still = replace(PLAN.fit, learning_rate=1e-30, weight_decay=0.0)
    further = train_network(replace(PLAN, start=bundle, fit=still), cache, tmp_path / "run")
    assert further.manifest["parent"] == bundle.version
    inherited = further.manifest["training"]["starting_weights"]
    assert inherited == bundle.manifest["training"]["starting_weights"] is not None
    kernels = [
        network.load_network().get_layer("age_hidden").kernel for network in (bundle, further)
    ]
    assert np.array_equal(*(np.asarray(kernel) for kernel in kernels))


def test_a_bundle_of_another_network_is_no_start(trained, tmp_path):
    bundle, cache, _ = trained
    plan = replace(PLAN, start=bundle, spec=replace(PLAN.spec, hidden_units=16))
    with pytest.raises(FacetagError, match="holds the network"):
        train_network(plan, cache, tmp_path / "run")


def test_a_run_that_gives_the_age_another_output_starts_from_all_the_other_weights(
    trained, tmp_path
):
    bundle, cache, _ = trained
    # Such steps are lost in float32.
    still = replace(PLAN.fit, learning_rate=1e-30, weight_decay=0.0)
    spec = replace(PLAN.spec, age_output="distribution")
    further = train_network(
        replace(PLAN, start=bundle, fit=still, spec=spec), cache, tmp_path / "run"
    )
    assert open_bundle(further.folder).spec.age_output == "distribution"
    for name in ("age_hidden", "race"):
        kernels = [one.load_network().get_layer(name).kernel for one in (bundle, further)]
        assert np.array_equal(*(np.asarray(kernel) for kernel in kernels))


def test_a_fit_in_mixed_precision_writes_a_bundle_of_float32(tmp_path, tiny_cache):
    before = keras.config.dtype_policy()
    bundle = train_network(replace(PLAN, precision="mixed_bfloat16"), tiny_cache, tmp_path / "run")
    assert keras.config.dtype_policy() == before
    image = np.random.default_rng(1).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
    outputs = bundle.load_network().predict_on_batch(image)
    assert {name: value.dtype for name, value in outputs.items()} == dict.fromkeys(
        outputs, np.float32
    )


def test_a_run_that_starts_from_several_bundles_starts_from_the_mean_of_their_weights(
    trained, tmp_path
):
    first, cache, _ = trained
    second = train_network(replace(PLAN, start=first), cache, tmp_path / "second")
    still = replace(PLAN.fit, learning_rate=1e-12, weight_decay=0.0)
    plan = replace(PLAN, start=first, averaged=(second,), fit=still)
    mean = train_network(plan, cache, tmp_path / "mean")
    one, other, both = (
        bundle.load_network().get_layer("age_hidden").get_weights()[0]
        for bundle in (first, second, mean)
    )
    assert not np.allclose(one, other, atol=1e-3)
    assert np.allclose(both, (one + other) / 2, atol=1e-3)
    assert mean.manifest["parent"] == first.version
    assert mean.manifest["training"]["averaged"] == [second.version]


def test_each_of_several_bundles_must_hold_the_network(trained, tmp_path):
    first, cache, _ = trained
    spec = replace(PLAN.spec, hidden_units=16)
    other = train_network(replace(PLAN, spec=spec), cache, tmp_path / "other")
    with pytest.raises(FacetagError, match="holds the network"):
        train_network(replace(PLAN, start=first, averaged=(other,)), cache, tmp_path / "run")


def test_a_fit_that_diverges_says_what_to_do_and_leaves_its_folder_free(tmp_path, tiny_cache):
    run = tmp_path / "run"
    fast = replace(PLAN, fit=replace(PLAN.fit, learning_rate=1e38, warm_up_steps=0))
    with pytest.raises(FacetagError, match="The fit diverged: give a smaller learning rate"):
        train_network(fast, tiny_cache, run)
    assert train_network(PLAN, tiny_cache, run).folder == run / "bundle"
    with pytest.raises(FacetagError, match="another plan"):
        train_network(fast, tiny_cache, run)


def test_weights_that_are_none_are_refused_and_the_folder_is_free_for_others(
    tmp_path, tiny_cache, start
):
    wrong = tmp_path / "other.weights.h5"
    build_network(replace(PLAN.spec, backbone="cnn")).get_layer("cnn").save_weights(wrong)
    (tmp_path / "photo.weights.h5").write_bytes(b"no weights")
    for path in (wrong, tmp_path / "photo.weights.h5"):
        with pytest.raises(FacetagError, match="holds no weights of tiny"):
            train_network(replace(PLAN, backbone_weights=path), tiny_cache, tmp_path / "run")
    plan = replace(PLAN, backbone_weights=start[0])
    assert train_network(plan, tiny_cache, tmp_path / "run").version


def test_a_new_head_without_labels_is_refused(tmp_path):
    nothing = np.full(60, np.nan)
    cache = write_tiny_cache(tmp_path / "cache", labels={"race": nothing})
    with pytest.raises(FacetagError, match="No image to fit on has a label of race"):
        train_network(PLAN, cache, tmp_path / "run")
    ages = replace(PLAN, spec=replace(PLAN.spec, heads=("age", "gender")))
    assert train_network(ages, cache, tmp_path / "run").spec.heads == ("age", "gender")
