"""Load a bundle's network and MTCNN's three, compiled for what this machine computes on.

On a CPU, a process of its own traces and compiles the networks once, and they are kept on disk:
tracing needs TensorFlow, which takes some 700 MB that a process never gives back. Every later start
only loads what is kept. On a GPU, TensorFlow traces and computes in this process.
"""

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from facetag.bundles.bundle_folder import check_weights
from facetag.errors import BundleInvalid, FacetagError
from facetag.settings import AskedPrecision
from facetag.standalone.processes.environment import python_environment
from facetag.vision.bundle import Bundle
from facetag.vision.export_process import REFUSED
from facetag.vision.inference.compiled_network import CompiledNetwork
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.inference.graph_cache import COMPILED, Files, GraphCache
from facetag.vision.inference.graph_facts import compiled_facts
from facetag.vision.inference.openvino_backend import load_blob
from facetag.vision.inference.precision import Precision, choose_precision, part_precisions
from facetag.vision.mtcnn.cascade import Cascade

NVIDIA_DRIVER = "libcuda.so.1"


def load_compiled(
    bundle: Bundle, asked: AskedPrecision, slots: CpuSlots, cache: GraphCache
) -> tuple[CompiledNetwork, Cascade]:
    """Return a bundle's network and MTCNN's, from the cache if they are kept there.

    Where there is a GPU, this process traces them. Raises BundleInvalid if the weights' checksum is
    wrong, and what `choose_precision` raises.
    """
    if has_driver():
        return load_here(bundle, asked, slots)
    precision = choose_precision(asked, bundle, on_gpu=False)
    check_weights(bundle.folder, bundle.manifest)
    blobs = compile_blobs(bundle, precision, slots.threads, cache)
    loaded = {
        name: load_blob(blobs[name], precision=computes_in, slots=slots)
        for name, computes_in in part_precisions(precision).items()
    }
    network = CompiledNetwork(
        loaded.pop("features"),
        loaded.pop("heads"),
        heads=bundle.spec.heads,
        input_size=bundle.spec.input_size,
        mirror=bundle.mirror,
    )
    return network, Cascade(**loaded)


def compile_blobs(bundle: Bundle, precision: Precision, threads: int, cache: GraphCache) -> Files:
    """Return the six compiled graphs by name, kept or made now by another process."""

    def make() -> Files:
        with TemporaryDirectory(prefix="facetag-") as name:
            folder = Path(name)
            _run_export(bundle, precision, cache, folder, f"--threads={threads}")
            return {name: (folder / name).read_bytes() for name in part_precisions(precision)}

    return cache.get(COMPILED, compiled_facts(bundle, precision, threads), make)


def keep_traced(bundle: Bundle, precision: Precision, cache: GraphCache) -> None:
    """Trace a bundle's graphs for any CPU and keep them, unless they are kept."""
    with TemporaryDirectory(prefix="facetag-") as folder:
        _run_export(bundle, precision, cache, Path(folder), "--threads=1", "--only-trace")


def load_here(
    bundle: Bundle, asked: AskedPrecision, slots: CpuSlots | None = None
) -> tuple[CompiledNetwork, Cascade]:
    """Return a bundle's network and MTCNN's, traced in this process.

    They compute on the GPU if TensorFlow finds one. Raises as `load_compiled` does.
    """
    import tensorflow as tf

    from facetag.vision.inference.openvino_conversion import convert_bundle

    devices = tf.config.list_physical_devices("GPU")
    for device in devices:
        # Without memory growth the first process takes all memory of the GPU.
        tf.config.experimental.set_memory_growth(device, True)
    precision = choose_precision(asked, bundle, on_gpu=bool(devices))
    network = convert_bundle(bundle, precision=precision, slots=slots)
    return network, compile_cascade(slots, precision)


def compile_cascade(slots: CpuSlots | None = None, precision: Precision = "float32") -> Cascade:
    """Trace MTCNN's three networks in this process and compile them as `part_precisions` says."""
    from facetag.vision.inference.graph_export import compile_function
    from facetag.vision.mtcnn.networks import SHAPES, load_networks

    networks, computes_in = load_networks(), part_precisions(precision)
    return Cascade(
        **{
            name: compile_function(
                getattr(networks, name), shape, precision=computes_in[name], slots=slots
            )
            for name, shape in SHAPES.items()
        }
    )


def _run_export(
    bundle: Bundle, precision: Precision, cache: GraphCache, folder: Path, *options: str
) -> None:
    """Run `facetag.vision.export_process`; raises BundleInvalid for what it refuses."""
    command = [
        *(sys.executable, "-P", "-m", "facetag.vision.export_process"),
        *(f"--parent={os.getpid()}", f"--bundle={bundle.folder}", f"--precision={precision}"),
        *(f"--cache={cache.root}", f"--cache-bytes={cache.most_bytes}"),
    ]
    path = os.pathsep.join(part for part in sys.path if part)
    done = subprocess.run(  # noqa: S603 - our own program
        # -P keeps the current folder off the path: a user's folder may hold a random.py.
        [*command, *options, str(folder)],
        env=python_environment(
            PYTHONPATH=path,
            KERAS_BACKEND="tensorflow",
            # Keras reads its settings from the user's home otherwise.
            KERAS_HOME=str(folder),
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == REFUSED:
        raise BundleInvalid(done.stdout)
    if done.returncode:
        raise FacetagError(
            f"Preparing the network of {bundle.folder} failed (exit status {done.returncode}). "
            f"Check that a gigabyte of memory is free. Its last output: {done.stderr[-2000:]}"
        )


def has_driver() -> bool:
    """Return whether NVIDIA's driver is installed, so that there may be a GPU."""
    try:
        ctypes.CDLL(NVIDIA_DRIVER)
    except OSError:
        return False
    return True
