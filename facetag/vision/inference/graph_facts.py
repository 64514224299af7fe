"""State every fact that a traced and a compiled graph depend on, by which they are kept."""

import hashlib
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import facetag.vision
from facetag.cpu import read_cpu_info
from facetag.vision.bundle import Bundle
from facetag.vision.inference.graph_cache import digest
from facetag.vision.inference.precision import Precision

LIBRARIES = (
    "h5py",
    "keras",
    "mtcnn",
    "numpy",
    "openvino",
    "tensorflow",
    "tensorflow-cpu",
)
CODE = ("export_process.py", "inference/*.py", "network/*.py", "mtcnn/networks.py")
"""The files below `facetag/vision` that decide what a graph is."""
PROCESSOR = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags", "Features")


def traced_facts(bundle: Bundle, precision: Precision) -> Mapping[str, object]:
    """Return what the graphs of a bundle depend on before they are compiled."""
    return {
        "weights": bundle.manifest["weights_sha256"],
        "network": bundle.manifest["network"],
        "ranges": bundle.ranges_in(precision),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "code": _code_digest(),
    }


def compiled_facts(bundle: Bundle, precision: Precision, threads: int) -> Mapping[str, object]:
    """Return what the graphs depend on once they are compiled for `threads` threads a call."""
    info = read_cpu_info()
    return {
        "traced": digest(traced_facts(bundle, precision)),
        "precision": precision,
        "threads": threads,
        "system": [platform.system(), platform.machine()],
        "processor": {name: info.get(name) for name in PROCESSOR},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _code_digest() -> str:
    folder = Path(facetag.vision.__file__).parent
    files = sorted(file for pattern in CODE for file in folder.glob(pattern))
    whole = hashlib.sha256()
    for file in files:
        whole.update(f"{file.relative_to(folder)}\n".encode() + file.read_bytes())
    return whole.hexdigest()
