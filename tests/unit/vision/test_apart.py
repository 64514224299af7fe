"""A bundle frozen by another process is the bundle frozen by this one."""

import numpy as np
import pytest

from facetag.bundle_folder import WEIGHTS
from facetag.errors import BundleInvalid
from vision import apart
from vision.apart import freeze_apart
from vision.bundle import open_bundle, save_manifest
from vision.freezing import freeze_bundle
from vision.frozen import FrozenNetwork


@pytest.mark.parametrize("bfloat16", [False, True])
def test_the_graphs_are_those_of_this_process(tiny_bundle, bfloat16):
    save_manifest(tiny_bundle.folder, {**tiny_bundle.manifest, "mirror": True})
    bundle = open_bundle(tiny_bundle.folder)
    crops = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    here, apart_ = (
        FrozenNetwork(freeze(bundle, bfloat16=bfloat16)).predict(crops)
        for freeze in (freeze_bundle, freeze_apart)
    )
    assert set(here) == {"age", "gender", "race"}
    for name, values in here.items():
        assert np.allclose(apart_[name], values, rtol=1e-5)


def test_weights_that_are_not_the_manifests_are_refused_before(tiny_bundle):
    with (tiny_bundle.folder / WEIGHTS).open("ab") as file:
        file.write(b"one byte")
    with pytest.raises(BundleInvalid, match="SHA-256 differs"):
        freeze_apart(tiny_bundle)


def test_a_process_that_fails_is_told_of(tiny_bundle, monkeypatch):
    monkeypatch.setattr(apart.sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match="failed with status 1"):
        freeze_apart(tiny_bundle)
