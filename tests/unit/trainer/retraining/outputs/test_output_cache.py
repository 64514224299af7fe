"""Outputs are read once per bundle and set of images."""

import numpy as np
import pytest

from facetag.vision.bundle import Bundle
from facetag.vision.bundle_writer import write_bundle
from facetag.vision.crop import UprightCrop
from facetag.vision.network.attributes import build_network
from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.retraining.outputs.output_cache import OutputCache
from tests.unit.trainer.tiny_caches import write_tiny_cache

SPEC = NetworkSpec(backbone="tiny", input_size=32, hidden_units=8)


@pytest.fixture
def bundle(tmp_path):
    facts = {"created": "2026-01-01"}
    return write_bundle(tmp_path / "b", build_network(SPEC), SPEC, UprightCrop(), facts)


def test_the_same_images_are_read_once_and_others_again(bundle, tmp_path):
    cache, read = write_tiny_cache(tmp_path / "cache"), []
    output_cache = OutputCache(tmp_path / "run", on_read=lambda *count: read.append(count))
    first = output_cache.read(bundle, cache, cache.validation)
    assert read == [(12, 12)]
    assert first["race"].shape == (12, 5)
    # A killed retraining has other objects, and finds them in its folder.
    again = OutputCache(tmp_path / "run", on_read=lambda *count: read.append(count))
    np.testing.assert_array_equal(again.read(bundle, cache, cache.validation)["age"], first["age"])
    assert len(read) == 1
    assert len(again.read(bundle, cache)["age"]) == 60
    # All have been read, so a part of them is known.
    some = np.arange(60) % 2 == 0
    np.testing.assert_array_equal(
        again.read(bundle, cache, some)["age"], again.read(bundle, cache)["age"][some]
    )
    corrupted = again.read(bundle, cache, cache.validation, spoil=True)
    assert not np.array_equal(corrupted["age"], first["age"])
    other = Bundle(bundle.folder, {**bundle.manifest, "mirror": True})
    assert not np.array_equal(again.read(other, cache, cache.validation)["age"], first["age"])
    assert len(read) == 4


def test_the_pace_is_known_after_the_second_batch(bundle, tmp_path):
    cache = write_tiny_cache(tmp_path / "cache", count=200)
    paces = []
    output_cache = OutputCache(tmp_path / "run", on_pace=paces.append)
    output_cache.read(bundle, cache)
    output_cache.read(bundle, cache, spoil=True)
    assert len(paces) == 1
    assert paces[0].images_per_s > 0
    assert paces[0].compile_s > 0
    # A few images are one batch, and give it too.
    few = OutputCache(tmp_path / "other", on_pace=paces.append)
    few.read(bundle, cache, cache.validation)
    assert len(paces) == 2


def test_what_was_announced_is_counted_as_one_work_without_what_is_known(bundle, tmp_path):
    first, second, known = (
        write_tiny_cache(tmp_path / f"cache-{name}", count=80, held_out=70) for name in "abc"
    )
    for name, cache in zip("abc", (first, second, known), strict=True):
        cache.facts["shards"] = {f"{name}.tar": name * 64}
    read = []
    output_cache = OutputCache(tmp_path / "run", on_read=lambda *count: read.append(count))
    output_cache.read(bundle, known, known.validation)
    read.clear()
    caches = (first, known, second)
    output_cache.announce([(bundle, cache, cache.validation) for cache in (*caches, first)])
    for cache in (*caches, first):
        output_cache.read(bundle, cache, cache.validation)
    assert read == [(64, 140), (70, 140), (134, 140), (140, 140)]
