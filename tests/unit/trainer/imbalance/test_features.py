"""Features are the network's own, computed once, and never those of something else."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest

from facetag.vision.bundle_writer import write_bundle
from facetag.vision.crop import UprightCrop
from facetag.vision.network.attributes import build_network
from facetag_trainer.data.augmentation import centre_crop
from facetag_trainer.fit.training_run import TrainingPlan
from facetag_trainer.imbalance import features
from facetag_trainer.imbalance.features import compute_features, features_key
from tests.unit.trainer.tiny_caches import write_tiny_cache


@pytest.fixture
def plan(tiny_spec, tiny_bundle):
    # What a manifest of `facetag train` states besides.
    training = {"starting_weights": None}
    bundle = replace(tiny_bundle, manifest={**tiny_bundle.manifest, "training": training})
    return TrainingPlan(tiny_spec, start=bundle)


class Killed(Exception):
    pass


def test_they_are_what_the_heads_of_the_network_see(plan, tiny_network, tiny_cache, tmp_path):
    values = compute_features(plan, tiny_cache, tmp_path / "features")
    crops = np.stack([centre_crop(crop, 32) for crop in tiny_cache.crops]).astype(np.float32)
    seen = keras.Model(tiny_network.input, tiny_network.get_layer("race_hidden").output)
    hidden = tiny_network.get_layer("race_hidden")
    # The bundle's weights are halves, so the comparison is rough.
    assert np.allclose(hidden(values), seen.predict_on_batch(crops), rtol=0.02, atol=0.02)


def test_an_interrupted_computation_goes_on_where_it_stopped(
    plan, tiny_cache, tmp_path, monkeypatch
):
    monkeypatch.setattr(features, "CHUNK", 25)
    whole = np.array(compute_features(plan, tiny_cache, tmp_path / "whole"))

    def die(done):
        raise Killed

    with pytest.raises(Killed):
        compute_features(plan, tiny_cache, tmp_path / "killed", on_progress=die)
    assert json.loads((tmp_path / "killed" / "features.json").read_text()) == {"done": 25}
    steps = []
    again = compute_features(plan, tiny_cache, tmp_path / "killed", on_progress=steps.append)
    assert steps == [50, 60]
    assert np.allclose(again, whole, atol=1e-6)


def test_finished_features_are_read_and_not_computed(plan, tiny_cache, tmp_path):
    first = np.array(compute_features(plan, tiny_cache, tmp_path / "features"))
    steps = []
    again = compute_features(plan, tiny_cache, tmp_path / "features", on_progress=steps.append)
    assert steps == []
    assert np.array_equal(again, first)


def test_other_weights_crops_or_precision_have_features_of_their_own(
    plan, tiny_spec, tiny_cache, tmp_path
):
    keras.utils.set_random_seed(8)
    facts = {"created": "2025-01-31", "training": {"starting_weights": None}}
    network = build_network(tiny_spec)
    other = write_bundle(tmp_path / "other", network, tiny_spec, UprightCrop(), facts)
    crops = write_tiny_cache(tmp_path / "crops", count=61)
    keys = [
        features_key(plan, tiny_cache),
        features_key(replace(plan, start=other), tiny_cache),
        features_key(replace(plan, precision="mixed_bfloat16"), tiny_cache),
        features_key(plan, crops),
    ]
    assert len(set(keys)) == 4
    assert features_key(plan, tiny_cache) == keys[0]
