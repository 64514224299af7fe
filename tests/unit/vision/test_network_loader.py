"""A worker's networks, kept or made by another process, are those that this one would trace."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from facetag.errors import BundleInvalid, FacetagError
from facetag.vision.bundle import open_bundle, save_manifest
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.inference.graph_cache import GraphCache
from facetag.vision.network_loader import keep_traced, load_compiled, load_here

RANGES = [[-1, 1], [0, 6]]


def crops():
    return np.random.default_rng(1).integers(0, 256, (9, 32, 32, 3), np.uint8)


@pytest.fixture
def cache(tmp_path):
    return GraphCache(tmp_path / "graphs", 10**9)


@pytest.fixture
def ranged_bundle(tiny_bundle):
    save_manifest(tiny_bundle.folder, {**tiny_bundle.manifest, "activation_ranges": RANGES})
    return open_bundle(tiny_bundle.folder)


def patches():
    rng = np.random.default_rng(2)
    for name, side in (("propose", 40), ("refine", 24), ("output", 48), ("look", 48)):
        yield name, rng.uniform(0, 255, (3, side, side, 3)).astype(np.float32)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_networks_are_those_that_are_traced_here_and_the_very_same_once_kept(
    ranged_bundle, precision, cache, monkeypatch
):
    slots = CpuSlots.for_lanes(2)
    expected, traced_here = load_here(ranged_bundle, precision, slots)
    made = load_compiled(ranged_bundle, precision, slots, cache)
    # What is kept is loaded by this process alone.
    monkeypatch.setattr("facetag.vision.network_loader.subprocess", None)
    kept = load_compiled(ranged_bundle, precision, slots, cache)
    wanted = expected.predict(crops())
    for network, cascade in (made, kept):
        assert network.input_size == expected.input_size
        outputs = network.predict(crops())
        assert outputs.keys() == wanted.keys()
        assert all(np.array_equal(outputs[name], values) for name, values in wanted.items())
        for name, given in patches():
            pairs = zip(
                getattr(cascade, name)(given), getattr(traced_here, name)(given), strict=True
            )
            assert all(np.array_equal(one, other) for one, other in pairs)


def test_workers_that_start_at_the_same_time_compile_once_what_was_traced_elsewhere(
    ranged_bundle, cache, monkeypatch
):
    """As in a container whose image was built on another machine."""
    keep_traced(ranged_bundle, "int8", cache)
    assert [path.parent.parent.name for path in cache.root.glob("*/*/sha256.json")] == ["traced"]
    # The process that compiles could not import TensorFlow.
    blocked = cache.root.parent / "blocked"
    (blocked / "tensorflow").mkdir(parents=True)
    (blocked / "tensorflow" / "__init__.py").write_text("raise SystemExit('TensorFlow!')")
    monkeypatch.syspath_prepend(str(blocked))

    def load(_):
        return load_compiled(ranged_bundle, "int8", CpuSlots.for_lanes(1), cache)[0]

    with ThreadPoolExecutor(2) as threads:
        first, second = [one.predict(crops()) for one in threads.map(load, range(2))]
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert len(list(cache.root.glob("compiled/*/sha256.json"))) == 1

    weights = ranged_bundle.folder / "network.weights.h5"
    weights.write_bytes(weights.read_bytes() + b"0")
    with pytest.raises(BundleInvalid, match=r"not the file that bundle.json names"):
        load(0)


def test_with_nvidias_driver_they_are_traced_here(tiny_bundle, cache, monkeypatch):
    """As for a GPU: TensorFlow finds none here, so OpenVINO compiles all the same."""
    monkeypatch.setattr("facetag.vision.network_loader.has_driver", lambda: True)
    monkeypatch.setattr("facetag.vision.network_loader.compile_blobs", None)
    network, _ = load_compiled(tiny_bundle, "float32", CpuSlots.for_one_caller(), cache)
    assert network.predict(crops())["age"].shape == (9, 1)


def test_a_writer_that_fails_says_how(tiny_bundle, cache, monkeypatch):
    monkeypatch.setattr("facetag.vision.network_loader.sys.executable", "/bin/false")
    with pytest.raises(FacetagError, match=r"failed \(exit status 1"):
        load_compiled(tiny_bundle, "float32", CpuSlots.for_one_caller(), cache)


def test_with_a_kept_network_no_process_of_a_labeller_maps_tensorflow(tiny_bundle):
    program = f"""
import subprocess, sys
import numpy as np
import psutil
from facetag.settings import Settings
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.labeller import load_labeller
from facetag.vision.photo import whole_picture

settings, slots = Settings(bundle={str(tiny_bundle.folder)!r}), CpuSlots.for_one_caller()
load_labeller(settings, slots)
assert not {{"tensorflow", "keras", "mtcnn", "h5py"}} & sys.modules.keys()

def refuse(*arguments, **options):
    raise AssertionError("a helper process was started")

subprocess.Popen = refuse
labeller = load_labeller(settings, slots)
labeller.warm_up()
labeller.label([whole_picture(np.zeros((300, 400, 3), np.uint8), 1000)])
assert not {{"tensorflow", "keras", "mtcnn", "h5py"}} & sys.modules.keys()
assert not psutil.Process().children(recursive=True)
mapped = [file.path for file in psutil.Process().memory_maps()]
assert not [path for path in mapped if "-packages/tensorflow" in path]
"""
    subprocess.run([sys.executable, "-c", program], check=True)
