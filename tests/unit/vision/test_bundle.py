"""Bundles written, read, tampered with and incomplete."""

import json

import h5py
import numpy as np
import pytest

from facetag.bundles.bundle_folder import CARD, MANIFEST, WEIGHTS
from facetag.errors import BundleInvalid
from facetag.vision.bundle import open_bundle, save_manifest
from facetag.vision.bundle_writer import save_float16
from facetag.vision.network.calibration import Calibration
from facetag.vision.network.mirror_averaging import Mirroring


def change_manifest(bundle, **changes):
    save_manifest(bundle.folder, {**bundle.manifest, **changes})
    return bundle.folder


def test_a_network_comes_back_within_half_precision(tiny_bundle, tiny_network):
    opened = open_bundle(tiny_bundle.folder)
    loaded = opened.load_network()
    assert len(loaded.weights) == len(tiny_network.weights) > 0
    for one, two in zip(loaded.weights, tiny_network.weights, strict=True):
        assert str(one.dtype) == "float32"
        assert np.allclose(one, two, rtol=2**-10, atol=1e-7)
    images = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    before, after = (each.predict_on_batch(images) for each in (tiny_network, loaded))
    for name, values in before.items():
        assert np.allclose(after[name], values, rtol=0.02, atol=0.02)


def test_the_manifest_says_how_to_build_feed_and_read_the_network(tiny_bundle, tiny_spec):
    opened = open_bundle(tiny_bundle.folder)
    assert opened.spec == tiny_spec
    assert opened.crop_rule == tiny_bundle.crop_rule
    assert opened.age_range.around(20) == (17, 24)
    assert opened.manifest["heads"][2] == {
        "name": "race",
        "kind": "categorical",
        "labels": ["white", "black", "asian", "indian", "other"],
    }
    digest = opened.manifest["weights_sha256"]
    assert opened.version == f"2025-01-31-{digest[:8]}"


def test_weights_are_stored_as_float16(tiny_bundle):
    kinds = set()
    with h5py.File(tiny_bundle.folder / WEIGHTS) as file:
        file.visititems(lambda _, item: kinds.add(item.dtype) if hasattr(item, "dtype") else None)
    assert np.dtype(np.float16) in kinds
    assert np.dtype(np.float32) not in kinds


def test_nothing_but_the_bundle_is_left_in_its_folder(tiny_bundle):
    assert {path.name for path in tiny_bundle.folder.iterdir()} == {MANIFEST, WEIGHTS}
    assert CARD not in {MANIFEST, WEIGHTS}


def test_the_state_of_a_fitted_networks_optimizer_is_left_out(tmp_path, tiny_network):
    tiny_network.compile(optimizer="adam")
    tiny_network.optimizer.build(tiny_network.trainable_variables)
    save_float16(tiny_network, tmp_path / WEIGHTS)
    with h5py.File(tmp_path / WEIGHTS) as file:
        assert "optimizer" not in file
        assert "layers" in file


def test_a_weight_too_large_for_float16_is_refused(tmp_path, tiny_network):
    tiny_network.weights[0].assign(np.full(tiny_network.weights[0].shape, 1e6, np.float32))
    with (
        pytest.warns(RuntimeWarning, match="overflow"),
        pytest.raises(BundleInvalid, match="does not fit into float16"),
    ):
        save_float16(tiny_network, tmp_path / WEIGHTS)
    assert not (tmp_path / "whole.weights.h5").exists()


def test_a_tampered_byte_is_refused_before_the_weights_are_loaded(tiny_bundle):
    path = tiny_bundle.folder / WEIGHTS
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleInvalid, match="SHA-256 differs"):
        open_bundle(tiny_bundle.folder).load_network()


@pytest.mark.parametrize("change", [{"hidden_units": 9}, {"backbone": "cnn"}])
def test_weights_of_another_network_than_the_manifests_are_refused(tiny_bundle, change):
    network = tiny_bundle.manifest["network"] | change
    folder = change_manifest(tiny_bundle, network=network)
    with pytest.raises(BundleInvalid, match=r"does not hold the network that bundle\.json"):
        open_bundle(folder).load_network()


def test_a_missing_bundle_says_what_to_set(tmp_path):
    with pytest.raises(BundleInvalid, match="set FACETAG_BUNDLE"):
        open_bundle(tmp_path / "nowhere")


def test_a_file_in_place_of_the_folder_says_what_to_set(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleInvalid, match="set FACETAG_BUNDLE"):
        open_bundle(tmp_path / "file")


def test_missing_weights_are_noticed_on_opening(tiny_bundle):
    (tiny_bundle.folder / WEIGHTS).unlink()
    with pytest.raises(BundleInvalid, match=WEIGHTS):
        open_bundle(tiny_bundle.folder)


@pytest.mark.parametrize("text", ["", "{", '{"format": 1', "\x00", "[" * 100_000])
def test_a_damaged_manifest_is_refused(tiny_bundle, text):
    (tiny_bundle.folder / MANIFEST).write_text(text)
    with pytest.raises(BundleInvalid, match="is damaged"):
        open_bundle(tiny_bundle.folder)


@pytest.mark.parametrize("manifest", [[], None, {}, {"format": 2}, {"format": "1"}])
def test_an_unknown_format_is_refused(tiny_bundle, manifest):
    (tiny_bundle.folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BundleInvalid, match="has format"):
        open_bundle(tiny_bundle.folder)


@pytest.mark.parametrize("field", ["version", "weights_sha256", "crop", "network", "heads"])
def test_an_incomplete_manifest_is_refused(tiny_bundle, field):
    manifest = {name: value for name, value in tiny_bundle.manifest.items() if name != field}
    save_manifest(tiny_bundle.folder, manifest)
    with pytest.raises(BundleInvalid, match=f"incomplete.*{field}"):
        open_bundle(tiny_bundle.folder)


@pytest.mark.parametrize(
    "change",
    [
        {"network": {"backbone": "vgg"}},
        {"network": {"heads": ["age"]}},
        {"crop": {"name": "eyes"}},
        {"crop": "none"},
        {"mirror": "sometimes"},
    ],
)
def test_what_another_version_wrote_is_refused(tiny_bundle, change):
    (field, values), *_ = change.items()
    if isinstance(values, dict):
        values = {**tiny_bundle.manifest[field], **values}
    folder = change_manifest(tiny_bundle, **{field: values})
    with pytest.raises(BundleInvalid, match="another version"):
        open_bundle(folder)


@pytest.mark.parametrize(
    "change", [{"labels": ["man", "woman"]}, {"labels": ["female", "male"]}, {"kind": "regression"}]
)
def test_a_head_with_other_labels_is_refused(tiny_bundle, change):
    heads = [dict(head) for head in tiny_bundle.manifest["heads"]]
    heads[1].update(change)
    folder = change_manifest(tiny_bundle, heads=heads)
    with pytest.raises(BundleInvalid, match="predicts gender"):
        open_bundle(folder)


def test_a_missing_age_range_is_told_by_its_name(tiny_bundle):
    folder = change_manifest(tiny_bundle, age_range=None)
    with pytest.raises(BundleInvalid, match="age_range"):
        _ = open_bundle(folder).age_range


def test_a_bundle_without_calibration_changes_no_output(tiny_bundle):
    opened = open_bundle(tiny_bundle.folder)
    assert opened.calibration == Calibration()
    assert opened.mirror == Mirroring()


@pytest.mark.parametrize(
    "odd",
    [
        {"calibration": "warm"},
        {"calibration": {"temperatures": {"race": 0}}},
        {"calibration": {"uncertain_below": 3}},
        {"mirror": {"gender": 2}},
        {"age_range": {"coverage": 0.8, "knots": [], "below": [], "above": []}},
        {"age_range": {"coverage": 0.8, "knots": [20, 60], "below": [3], "above": [4, 4]}},
        {"age_range": {"coverage": 0.8, "knots": [60, 20], "below": [3, 3], "above": [4, 4]}},
        {"age_range": {"coverage": 0.8, "knots": [20], "below": [float("nan")], "above": [4]}},
        {"age_range": {"coverage": 0.8, "knots": [20], "below": ["some"], "above": [4]}},
        {"age_range": {"knots": [20]}},
    ],
)
def test_what_is_odd_is_told_when_the_bundle_is_opened(tiny_bundle, odd):
    folder = change_manifest(tiny_bundle, **odd)
    with pytest.raises(BundleInvalid, match="incomplete"):
        open_bundle(folder)
