"""Checkpoints hold every variable, and are of one network."""

import keras
import numpy as np
import pytest

from facetag.errors import FacetagError
from facetag.vision.network.attributes import build_network
from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.fit.checkpoint import FILE, FitPlace, load_checkpoint, save_checkpoint


def built(spec, seed=1):
    keras.utils.set_random_seed(seed)
    network = build_network(spec)
    network.compile(optimizer=keras.optimizers.AdamW(1e-3), loss="mse")
    network.optimizer.build(network.trainable_variables)
    return network


def state_of(network):
    return [np.asarray(value) for value in [*network.variables, *network.optimizer.variables]]


def disturb(network):
    rng = np.random.default_rng(3)
    for variable in [*network.variables, *network.optimizer.variables]:
        kind = np.asarray(variable).dtype
        variable.assign(rng.integers(1, 50, variable.shape).astype(kind))


def test_every_variable_comes_back_dropouts_seeds_and_the_optimizers_included(tmp_path, tiny_spec):
    network = built(tiny_spec)
    disturb(network)
    save_checkpoint(tmp_path, network, FitPlace(3, 41, 2.5))
    other = built(tiny_spec, seed=2)
    assert load_checkpoint(tmp_path, other) == (3, 41, 2.5)
    assert len(state_of(other)) > 20
    for one, two in zip(state_of(network), state_of(other), strict=True):
        assert one.dtype == two.dtype
        assert np.array_equal(one, two)
    paths = [variable.path for variable in network.variables]
    assert any("seed" in path for path in paths)


def test_no_checkpoint_means_the_beginning(tmp_path, tiny_spec):
    assert load_checkpoint(tmp_path, built(tiny_spec)) == FitPlace(0, 0)


def test_what_a_kill_left_half_written_does_not_count(tmp_path, tiny_spec):
    network = built(tiny_spec)
    save_checkpoint(tmp_path, network, FitPlace(1, 2))
    (tmp_path / f".partial.{FILE}").write_bytes(b"half")
    assert load_checkpoint(tmp_path, network) == FitPlace(1, 2)
    save_checkpoint(tmp_path, network, FitPlace(1, 3))
    assert load_checkpoint(tmp_path, network) == FitPlace(1, 3)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    "other",
    [
        NetworkSpec(backbone="tiny", input_size=32, hidden_units=9),
        NetworkSpec(backbone="tiny", input_size=32, hidden_units=8, heads=("age",)),
    ],
)
def test_a_checkpoint_of_another_network_is_refused_and_changes_nothing(tmp_path, tiny_spec, other):
    save_checkpoint(tmp_path, built(tiny_spec), FitPlace(1, 2))
    network = built(other, seed=2)
    before = state_of(network)
    with pytest.raises(FacetagError, match="another network"):
        load_checkpoint(tmp_path, network)
    for one, two in zip(before, state_of(network), strict=True):
        assert np.array_equal(one, two)
