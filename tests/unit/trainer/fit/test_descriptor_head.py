"""A head that reads descriptors while a network is fitted, and that no bundle holds."""

import keras
import numpy as np

from facetag.vision.network.attributes import build_network
from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.fit.descriptor_head import DESCRIPTOR, add_descriptor_head
from facetag_trainer.fit.distillation import Lessons
from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.loop import fit
from facetag_trainer.fit.training_run import TrainingPlan, train_network
from tests.unit.trainer.tiny_caches import SIZE, write_tiny_cache

SPEC = NetworkSpec(backbone="tiny", input_size=SIZE, hidden_units=8)
PLAN = FitPlan(
    epochs=2, batch_size=16, frozen_layers=0, teacher_share=0.5, descriptor_weight=1.0, mixup=0.2
)


def write_taught(path, cache, **changes):
    rng = np.random.default_rng(5)
    count = len(cache.hashes)
    kept = {
        "hashes": cache.hashes,
        "descriptors": rng.normal(0.1, 0.05, (count, 6)).astype(np.float32),
        "gender": rng.uniform(0, 1, (count, 1)).astype(np.float32),
        "race": rng.dirichlet(np.ones(5), count).astype(np.float32),
        **changes,
    }
    with path.open("wb") as file:
        np.savez(file, **kept)
    return path


def test_the_head_reads_the_features_and_leaves_the_others_as_they_are():
    network = build_network(SPEC)
    taught = add_descriptor_head(network, SPEC, 6)
    images = np.random.default_rng(1).uniform(0, 255, (3, SIZE, SIZE, 3)).astype(np.float32)
    outputs = taught.predict_on_batch(images)
    assert outputs[DESCRIPTOR].shape == (3, 6)
    for name, values in network.predict_on_batch(images).items():
        assert np.allclose(outputs[name], values, atol=1e-5)


def test_a_fit_learns_the_descriptors_of_the_images(tmp_path):
    cache = write_tiny_cache(tmp_path / "cache")
    brightness = np.stack([crop.mean() for crop in cache.crops]).astype(np.float32)
    told = np.repeat(((brightness - brightness.mean()) / brightness.std())[:, None], 4, axis=1)
    keras.utils.set_random_seed(3)
    network = add_descriptor_head(build_network(SPEC), SPEC, 4)
    losses = []
    fit(
        network,
        SPEC,
        cache,
        FitPlan(
            epochs=6, batch_size=16, frozen_layers=0, descriptor_weight=20.0, learning_rate=0.01
        ),
        tmp_path / "run",
        lessons=Lessons({}, 0.0, told),
        on_epoch=lambda row: losses.append(row["loss"]),
    )
    assert losses[-1] < 0.8 * losses[0]


def test_a_bundle_that_was_taught_holds_no_descriptors_head(tmp_path):
    cache = write_tiny_cache(tmp_path / "cache")
    taught = write_taught(tmp_path / "taught.npz", cache)
    plan = TrainingPlan(spec=SPEC, fit=PLAN, taught=taught)
    bundle = train_network(plan, cache, tmp_path / "run")
    network = bundle.load_network()
    assert set(network.output) == {"age", "gender", "race"}
    assert DESCRIPTOR not in {layer.name for layer in network.layers}
    assert len(bundle.manifest["training"]["taught"]) == 64
