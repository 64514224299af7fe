"""Read a bundle's folder and check that it is complete, without building its network."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facetag.errors import BundleInvalid

FORMAT = 1
MANIFEST, WEIGHTS, CARD = "bundle.json", "network.weights.h5", "card.md"
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_INSTALLED = Path(__file__).resolve().parents[1] / "models" / "default"
_CHECKOUT = Path(__file__).resolve().parents[2] / "models" / "default"
DEFAULT_FOLDER = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
"""The bundle that ships; an installed wheel has it inside this package."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a complete bundle of a known format.

    Raises BundleInvalid for any other folder.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BundleInvalid(
            f"There is no bundle at {folder}: set FACETAG_BUNDLE to a folder with {MANIFEST}, "
            "or fit one with `facetag train`."
        ) from error
    except (ValueError, RecursionError) as error:
        raise BundleInvalid(f"{folder / MANIFEST} is damaged: {error}.") from error
    stated = manifest.get("format") if isinstance(manifest, dict) else None
    if stated != FORMAT:
        raise BundleInvalid(f"{folder} has format {stated!r}, not {FORMAT}: fetch another bundle.")
    if "version" not in manifest:
        raise BundleInvalid(f"The manifest in {folder} is incomplete: it has no version.")
    check_version(manifest["version"])
    if not (folder / WEIGHTS).is_file():
        raise BundleInvalid(f"{folder} holds no {WEIGHTS}: fetch the bundle again.")
    return dict(manifest)


def check_version(version: object) -> None:
    """Raise BundleInvalid unless this can name a folder: versions become parts of paths."""
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise BundleInvalid(
            f"{version!r} is not a version of a bundle: give 1 to 128 letters, digits, dots, "
            "hyphens and underscores, a letter or a digit first."
        )


def check_weights(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Raise BundleInvalid if the weights are not those that the manifest names."""
    path = folder / WEIGHTS
    if file_sha256(path) != manifest.get("weights_sha256"):
        raise BundleInvalid(
            f"{path} is not the file that {MANIFEST} names (its SHA-256 differs): "
            "fetch the bundle again."
        )


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
