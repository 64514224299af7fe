"""A worker's networks, traced in a process of their own, are those that this one would trace."""

import subprocess
import sys

import numpy as np
import pytest

from facetag.errors import BundleInvalid, FacetagError
from facetag.vision.bundle import open_bundle, save_manifest
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.network_loader import load_compiled, load_here

RANGES = [[-1, 1], [0, 6]]


def crops():
    return np.random.default_rng(1).integers(0, 256, (9, 32, 32, 3), np.uint8)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_networks_are_those_that_are_traced_here(tiny_bundle, precision):
    save_manifest(tiny_bundle.folder, {**tiny_bundle.manifest, "activation_ranges": RANGES})
    bundle = open_bundle(tiny_bundle.folder)
    network, cascade = load_compiled(bundle, precision, CpuSlots.for_lanes(2))
    expected, others = load_here(bundle, precision)
    outputs, others_outputs = network.predict(crops()), expected.predict(crops())
    assert network.input_size == expected.input_size
    assert outputs.keys() == others_outputs.keys()
    for name, values in outputs.items():
        assert np.allclose(values, others_outputs[name], rtol=1e-4, atol=1e-4)
    for name, side in (("propose", 40), ("refine", 24), ("output", 48)):
        given = np.random.default_rng(2).uniform(0, 255, (3, side, side, 3)).astype(np.float32)
        pairs = zip(getattr(cascade, name)(given), getattr(others, name)(given), strict=True)
        assert all(np.allclose(one, other, atol=1e-4) for one, other in pairs)


def test_with_nvidias_driver_they_are_traced_here(tiny_bundle, monkeypatch):
    """As for a GPU: TensorFlow finds none here, so OpenVINO compiles all the same."""
    monkeypatch.setattr("facetag.vision.network_loader._has_driver", lambda: True)
    monkeypatch.setattr("facetag.vision.network_loader._export_graphs", None)
    network, _ = load_compiled(tiny_bundle, "float32", CpuSlots.for_one_caller())
    assert network.predict(crops())["age"].shape == (9, 1)


def test_weights_of_another_checksum_are_refused_as_the_writer_refuses_them(tiny_bundle):
    weights = tiny_bundle.folder / "network.weights.h5"
    weights.write_bytes(weights.read_bytes() + b"0")
    with pytest.raises(BundleInvalid, match=r"not the file that bundle.json names"):
        load_compiled(tiny_bundle, "float32", CpuSlots.for_one_caller())


def test_a_writer_that_fails_says_how(tiny_bundle, monkeypatch):
    monkeypatch.setattr("facetag.vision.network_loader.sys.executable", "/bin/false")
    with pytest.raises(FacetagError, match=r"failed \(exit status 1"):
        load_compiled(tiny_bundle, "float32", CpuSlots.for_one_caller())


def test_labelling_on_a_processor_imports_neither_tensorflow_nor_keras(tiny_bundle):
    program = f"""
import sys
import numpy as np
from facetag.settings import Settings
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.labeller import load_labeller
from facetag.vision.photo import whole_picture

labeller = load_labeller(
    Settings(bundle={str(tiny_bundle.folder)!r}), CpuSlots.for_one_caller()
)
labeller.warm_up()
labeller.label([whole_picture(np.zeros((300, 400, 3), np.uint8), 1000)])
assert not {{"tensorflow", "keras", "mtcnn", "h5py"}} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", program], check=True)
