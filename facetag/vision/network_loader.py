"""Load a bundle's network and MTCNN's three, compiled for what this machine computes on.

On a CPU, a process of its own traces the networks and OpenVINO compiles them here: tracing needs
TensorFlow, which takes some 700 MB that a process never gives back. On a GPU, TensorFlow traces and
computes in this process.
"""

import ctypes
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory

from facetag.errors import BundleInvalid, FacetagError
from facetag.settings import AskedPrecision
from facetag.standalone.processes.environment import python_environment
from facetag.vision.bundle import Bundle
from facetag.vision.export_process import FEATURES, HEADS, REFUSED
from facetag.vision.inference.compiled_network import CompiledNetwork
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.inference.openvino_backend import compile_graph
from facetag.vision.inference.precision import Precision, choose_precision, float_precision
from facetag.vision.mtcnn.cascade import Cascade

NVIDIA_DRIVER = "libcuda.so.1"


def load_compiled(
    bundle: Bundle, asked: AskedPrecision, slots: CpuSlots
) -> tuple[CompiledNetwork, Cascade]:
    """Return a bundle's network and MTCNN's, traced by another process unless there is a GPU.

    Raises BundleInvalid if the weights' checksum is wrong, and what `choose_precision` raises.
    """
    if _has_driver():
        return load_here(bundle, asked, slots)
    precision = choose_precision(asked, bundle, on_gpu=False)
    with TemporaryDirectory(prefix="facetag-") as name:
        folder = Path(name)
        _export_graphs(bundle, precision, folder)
        network = CompiledNetwork(
            compile_graph(folder / FEATURES, precision=float_precision(precision), slots=slots),
            compile_graph(folder / HEADS, slots=slots),
            heads=bundle.spec.heads,
            input_size=bundle.spec.input_size,
            mirror=bundle.mirror,
        )
        files = [folder / f"{field.name}.xml" for field in fields(Cascade)]
        return network, Cascade(*[compile_graph(file, slots=slots) for file in files])


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
    return convert_bundle(bundle, precision=precision, slots=slots), compile_cascade(slots)


def compile_cascade(slots: CpuSlots | None = None) -> Cascade:
    """Trace MTCNN's three networks in this process and compile them."""
    from facetag.vision.inference.graph_export import compile_function
    from facetag.vision.mtcnn.networks import SHAPES, load_networks

    networks = load_networks()
    return Cascade(
        **{
            name: compile_function(getattr(networks, name), shape, slots=slots)
            for name, shape in SHAPES.items()
        }
    )


def _export_graphs(bundle: Bundle, precision: Precision, folder: Path) -> None:
    """Have another process write the five graphs into a folder."""
    options = [f"--parent={os.getpid()}", f"--bundle={bundle.folder}", f"--precision={precision}"]
    path = os.pathsep.join(part for part in sys.path if part)
    done = subprocess.run(  # noqa: S603 - our own program
        # -P keeps the current folder off the path: a user's folder may hold a random.py.
        [sys.executable, "-P", "-m", "facetag.vision.export_process", *options, str(folder)],
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
            f"Check that a gigabyte of memory is free. Its last words: {done.stderr[-2000:]}"
        )


def _has_driver() -> bool:
    """Return whether NVIDIA's driver is installed, so that there may be a GPU."""
    try:
        ctypes.CDLL(NVIDIA_DRIVER)
    except OSError:
        return False
    return True
