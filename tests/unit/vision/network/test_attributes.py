"""The architecture by a tiny backbone: shapes, ranges, the spec's round trip."""

import keras
import numpy as np
import pytest

from facetag.heads import HEADS_BY_NAME
from facetag.vision.network.attributes import build_head, build_network, take_features
from facetag.vision.network.spec import NetworkSpec


def noise(count, size):
    return np.random.default_rng(2).uniform(0, 255, (count, size, size, 3)).astype(np.float32)


def test_outputs_have_the_heads_widths_and_ranges(tiny_network, tiny_spec):
    outputs = tiny_network.predict_on_batch(noise(5, tiny_spec.input_size))
    shapes = {name: values.shape for name, values in outputs.items()}
    assert shapes == {"age": (5, 1), "gender": (5, 1), "race": (5, 5)}
    assert (outputs["age"] >= 0).all()
    assert ((outputs["gender"] >= 0) & (outputs["gender"] <= 1)).all()
    assert np.allclose(outputs["race"].sum(axis=1), 1, atol=1e-5)


def test_a_network_has_only_the_heads_asked_for():
    network = build_network(NetworkSpec(backbone="tiny", input_size=32, heads=("race",)))
    assert network.output_names == ["race"]


def test_ages_start_near_the_mean():
    keras.utils.set_random_seed(3)
    network = build_network(NetworkSpec(backbone="tiny", input_size=32))
    ages = network.predict_on_batch(np.full((1, 32, 32, 3), 127.5, np.float32))["age"]
    assert 20 < float(ages[0, 0]) < 46


def test_an_age_from_a_distribution_is_its_mean_and_starts_near_the_mean_age():
    keras.utils.set_random_seed(3)
    spec = NetworkSpec(backbone="tiny", input_size=32, heads=("age",), age_output="distribution")
    network = build_network(spec)
    images = noise(3, 32)
    ages = np.asarray(network(images, training=False)["age"])
    layer = network.get_layer("age_distribution").output
    distributions = np.asarray(keras.Model(network.input, layer)(images))
    assert distributions.shape == (3, 117)
    assert np.allclose(ages[:, 0], distributions @ np.arange(117), atol=1e-3)
    assert ((ages > 20) & (ages < 46)).all()


def test_while_an_age_from_a_distribution_is_fitted_all_of_it_is_seen():
    spec = NetworkSpec(backbone="tiny", input_size=32, heads=("age",), age_output="distribution")
    seen = build_network(spec)(noise(2, 32), training=True)["age"]
    assert np.allclose(np.asarray(seen).sum(axis=1), 1, atol=1e-5)
    assert seen.shape == (2, 117)


def test_manifests_of_before_ages_could_be_distributions_are_read():
    stated = {
        name: value for name, value in NetworkSpec().to_json().items() if name != "age_output"
    }
    assert NetworkSpec.from_json(stated).age_output == "value"


def test_a_spec_survives_its_manifest():
    spec = NetworkSpec("tiny", 48, ("gender", "age"), 12, 0.1, "distribution")
    assert NetworkSpec.from_json(spec.to_json()) == spec
    assert NetworkSpec.from_json({**spec.to_json(), "later": 1}) == spec


def test_an_unknown_backbone_is_refused():
    with pytest.raises(ValueError, match="unknown backbone 'vgg': use inceptionv3, "):
        build_network(NetworkSpec(backbone="vgg"))


def test_a_backbone_of_the_callers_own_can_be_given():
    image = keras.Input((16, 16, 3))
    own = keras.Model(image, keras.layers.GlobalAveragePooling2D()(image), name="own")
    network = build_network(NetworkSpec(input_size=16, heads=("gender",)), backbone=own)
    assert network.get_layer("own") is own


def test_every_head_has_an_output_of_its_name(tiny_network):
    assert set(tiny_network.output_names) == set(HEADS_BY_NAME)


@pytest.mark.parametrize("name", list(HEADS_BY_NAME))
def test_a_head_alone_on_a_networks_features_gives_what_the_network_gives(
    name, tiny_network, tiny_spec
):
    images = noise(4, tiny_spec.input_size)
    features = take_features(tiny_network, tiny_spec).predict_on_batch(images)
    head = build_head(name, tiny_spec, features.shape[1])
    for layer in head.layers:
        layer.set_weights(
            tiny_network.get_layer(layer.name).get_weights() if layer.name != "features" else []
        )
    expected = tiny_network.predict_on_batch(images)[name]
    assert np.allclose(head.predict_on_batch(features)[name], expected, atol=1e-4)
