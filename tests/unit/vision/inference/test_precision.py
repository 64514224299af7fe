"""What is computed in follows from the setting, the bundle and the machine."""

import pytest

from facetag.errors import BundleInvalid, SettingsInvalid
from facetag.vision.bundle import open_bundle, save_manifest
from facetag.vision.inference import precision
from facetag.vision.inference.precision import choose_precision


@pytest.fixture
def bundle_with(tiny_bundle):
    def make(*, ranges):
        manifest = {**tiny_bundle.manifest, "activation_ranges": [[0, 1], None] if ranges else []}
        save_manifest(tiny_bundle.folder, manifest)
        return open_bundle(tiny_bundle.folder)

    return make


@pytest.fixture
def processor_with(monkeypatch):
    def pretend(*what):
        monkeypatch.setattr(precision, "multiplies_int8", lambda: "int8" in what)
        monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: "bfloat16" in what)

    return pretend


@pytest.mark.parametrize(
    ("has", "ranges", "expected"),
    [
        (("int8", "bfloat16"), True, "int8"),
        (("int8",), True, "int8"),
        (("int8", "bfloat16"), False, "bfloat16"),
        (("int8",), False, "float32"),
        (("bfloat16",), True, "bfloat16"),
        ((), True, "float32"),
    ],
)
def test_by_itself_it_is_the_fastest_that_processor_and_bundle_allow(
    bundle_with, processor_with, has, ranges, expected
):
    processor_with(*has)
    assert choose_precision("auto", bundle_with(ranges=ranges), on_gpu=False) == expected


def test_on_a_gpu_it_is_float32(bundle_with, processor_with):
    processor_with("int8", "bfloat16")
    assert choose_precision("auto", bundle_with(ranges=True), on_gpu=True) == "float32"


@pytest.mark.parametrize("asked", ["float32", "bfloat16", "int8"])
def test_what_is_asked_for_is_taken_whatever_the_processor_has(bundle_with, processor_with, asked):
    processor_with()
    assert choose_precision(asked, bundle_with(ranges=True), on_gpu=False) == asked


def test_int8_without_ranges_or_on_a_gpu_says_what_to_do(bundle_with):
    with pytest.raises(BundleInvalid, match="facetag calibrate"):
        choose_precision("int8", bundle_with(ranges=False), on_gpu=False)
    with pytest.raises(SettingsInvalid, match="FACETAG_PRECISION"):
        choose_precision("int8", bundle_with(ranges=True), on_gpu=True)
