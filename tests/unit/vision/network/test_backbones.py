"""Three backbones and a tiny one: features, what is frozen, and starting weights."""

import numpy as np
import pytest

from facetag.errors import FacetagError
from facetag.vision.network.attributes import build_network
from facetag.vision.network.backbones import (
    FROZEN_LAYERS,
    build_backbone,
    freeze_layers,
    load_backbone_weights,
    load_imagenet_weights,
)
from facetag.vision.network.spec import BACKBONES, NetworkSpec

pytestmark = pytest.mark.timeout(300)


def test_freezing_leaves_the_later_layers_to_be_fitted(tiny_network):
    freeze_layers(tiny_network, "tiny", 3)
    layers = tiny_network.get_layer("tiny").layers
    assert [layer.trainable for layer in layers[:5]] == [False, False, False, True, True]
    frozen = {variable.path for layer in layers[:3] for variable in layer.variables}
    assert frozen
    assert not frozen & {variable.path for variable in tiny_network.trainable_variables}


def test_freezing_the_batch_norms_leaves_the_other_layers_to_be_fitted(tiny_network):
    freeze_layers(tiny_network, "tiny", 0, norms=True)
    frozen = [layer.name for layer in tiny_network.get_layer("tiny").layers if not layer.trainable]
    assert len(frozen) == 1
    assert "normalization" in frozen[0]


def test_backbone_weights_are_loaded_into_a_built_network(tmp_path, tiny_network, tiny_spec):
    path = tmp_path / "tiny.weights.h5"
    tiny_network.get_layer("tiny").save_weights(path)
    other = build_network(tiny_spec)
    load_backbone_weights(other, "tiny", path)
    for one, two in zip(
        other.get_layer("tiny").variables, tiny_network.get_layer("tiny").variables, strict=True
    ):
        assert np.array_equal(one, two)


def test_the_papers_backbone_gives_2048_features_and_has_a_52nd_layer():
    backbone = build_backbone("inceptionv3", 75)
    assert backbone.output_shape == (None, 2048)
    assert len(backbone.layers) > 300


@pytest.mark.parametrize(("name", "width"), [("cnn", 256), ("xception", 2048), ("tiny", 16)])
def test_a_backbone_gives_pooled_features(name, width):
    backbone = build_backbone(name, 96)
    assert backbone.name == name
    assert backbone.output_shape == (None, width)


def test_every_backbone_states_what_is_frozen():
    assert FROZEN_LAYERS.keys() == set(BACKBONES)


def test_xception_is_frozen_whole_so_that_only_new_layers_are_fitted():
    network = build_network(NetworkSpec(backbone="xception", input_size=75, heads=("race",)))
    freeze_layers(network, "xception", FROZEN_LAYERS["xception"])
    fitted = {variable.path for variable in network.trainable_variables}
    assert fitted == {
        f"{layer}/{weight}" for layer in ("race_hidden", "race") for weight in ("kernel", "bias")
    }


def test_the_small_network_is_small_and_fitted_whole():
    backbone = build_backbone("cnn", 64)
    assert backbone.count_params() < 1_500_000
    assert FROZEN_LAYERS["cnn"] == 0


def test_keras_has_no_weights_for_a_network_of_our_own(tiny_network):
    with pytest.raises(FacetagError, match="no ImageNet weights for tiny"):
        load_imagenet_weights(tiny_network, "tiny")


def test_published_weights_that_cannot_be_fetched_are_a_fault_that_says_what_to_give(
    monkeypatch, tmp_path
):
    # Nothing listens on port 9 of this machine: the fetch fails as without a network.
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    network = build_network(NetworkSpec(backbone="xception", input_size=75, heads=("race",)))
    with pytest.raises(FacetagError, match="give a file"):
        load_imagenet_weights(network, "xception")
