"""Whole networks as rows of the table: what they are called, and on which images they are read."""

from dataclasses import replace

import numpy as np
import pytest

from facetag.errors import FacetagError
from facetag_trainer.data.augmentation import centre_crop
from facetag_trainer.imbalance.bundle_outputs import describe_whole, read_whole, require_same_images
from tests.unit.trainer.tiny_caches import write_tiny_cache


def with_balanced(bundle, *heads):
    training = {"fit": {"balanced": list(heads)}}
    return replace(bundle, manifest={**bundle.manifest, "training": training})


def test_a_network_is_named_by_what_it_is_and_how_it_was_fitted(tiny_bundle):
    weighted, plain = with_balanced(tiny_bundle, "race"), with_balanced(tiny_bundle, "gender")
    assert describe_whole(weighted, "race") == ("tiny of all heads, 32 pixels", "weighted")
    assert describe_whole(plain, "race") == ("tiny of all heads, 32 pixels", "plain")


def test_a_network_without_the_head_is_refused(tiny_bundle):
    network = {**tiny_bundle.manifest["network"], "heads": ["age"]}
    other = replace(tiny_bundle, manifest={**tiny_bundle.manifest, "network": network})
    with pytest.raises(FacetagError, match="does not predict race"):
        describe_whole(other, "race")


def test_the_outputs_are_the_networks_own_in_the_order_asked_for(tiny_bundle, tiny_cache):
    places = np.array([7, 3, 11])
    crops = np.stack([centre_crop(tiny_cache.crops[place], 32) for place in places])
    network = tiny_bundle.load_network()
    expected = network.predict_on_batch(crops.astype(np.float32))["race"]
    found = read_whole(tiny_bundle, "race", tiny_cache, places)
    assert np.allclose(found, expected, atol=1e-6)


def test_caches_of_other_images_are_refused(tiny_cache, tmp_path):
    require_same_images(tiny_cache, [tiny_cache])
    other = write_tiny_cache(tmp_path / "other", count=61)
    with pytest.raises(FacetagError, match="same shards"):
        require_same_images(tiny_cache, [other])
