"""A worker's networks: traced by a process of its own where OpenVINO computes, here for a GPU.

Tracing takes TensorFlow, and some 700 MB that a process never gives back.
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
from facetag.vision.bundle import Bundle
from facetag.vision.export_main import FEATURES, HEADS, REFUSED
from facetag.vision.inference.compiled_network import FrozenNetwork
from facetag.vision.inference.openvino_backend import compile_graph
from facetag.vision.inference.precision import Precision, beside_integers, choose_precision
from facetag.vision.mtcnn.cascade import Cascade

NVIDIA_DRIVER = "libcuda.so.1"


def load_compiled(
    bundle: Bundle, asked: AskedPrecision, *, lanes: int = 1
) -> tuple[FrozenNetwork, Cascade]:
    """Return a bundle's network and MTCNN's; calls from as many threads as `lanes` go on at a time.

    Raises BundleInvalid for weights of another checksum, and what `choose_precision` raises.
    """
    if _has_driver():
        from facetag.vision.inference.convert import load_here

        return load_here(bundle, asked, lanes=lanes)
    precision = choose_precision(asked, bundle, on_gpu=False)
    with TemporaryDirectory(prefix="facetag-") as name:
        folder = Path(name)
        _write_apart(bundle, precision, folder)
        network = FrozenNetwork(
            compile_graph(folder / FEATURES, precision=beside_integers(precision), lanes=lanes),
            compile_graph(folder / HEADS, lanes=lanes),
            heads=bundle.spec.heads,
            input_size=bundle.spec.input_size,
            mirror=bundle.mirror,
        )
        files = [folder / f"{field.name}.xml" for field in fields(Cascade)]
        return network, Cascade(*[compile_graph(file, lanes=lanes) for file in files])


def _write_apart(bundle: Bundle, precision: Precision, folder: Path) -> None:
    options = [f"--parent={os.getpid()}", f"--bundle={bundle.folder}", f"--precision={precision}"]
    path = os.pathsep.join(part for part in sys.path if part)
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-P", "-m", "facetag.vision.export_main", *options, str(folder)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == REFUSED:
        raise BundleInvalid(done.stdout)
    if done.returncode:
        raise FacetagError(
            f"The network of {bundle.folder} cannot be prepared (exit {done.returncode}; is there "
            f"a gigabyte of memory for it?): {done.stderr[-2000:]}"
        )


def _has_driver() -> bool:
    """Tell whether there is NVIDIA's driver, and so perhaps a GPU: TensorFlow is to say."""
    try:
        ctypes.CDLL(NVIDIA_DRIVER)
    except OSError:
        return False
    return True
