"""Make the key of everything that decides labels, so that results are reused only where all agree.

Results of an image may stand for the same image again if their keys are equal.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, overload

from sqlalchemy.orm import Session

from facetag.bundles.bundle_folder import DEFAULT_FOLDER, MANIFEST, read_manifest
from facetag.bundles.registry import find_champion
from facetag.errors import BundleInvalid
from facetag.heads import HELD_OUT_ANSWERS, HELD_OUT_IMAGES
from facetag.settings import Settings

REVISION = 8
"""Raise it when code changes the labels that the same bundle and settings give."""
KEY_BYTES = 16
_FACTS = frozenset(
    ("parent", "created", "shards", "samples", "training", "held_out", "metrics")
) | {HELD_OUT_ANSWERS, HELD_OUT_IMAGES}
"""Fields of a manifest that describe a bundle and change no label. Unknown fields count."""


def labelling_key(manifest: Mapping[str, Any], settings: Settings) -> bytes:
    """Return the key of labels by the bundle with this manifest under these settings.

    The precision is the one that is asked for: `auto` stands for whatever the workers' processors
    give, as it does for the images of one job.
    """
    decisive = {
        "revision": REVISION,
        "bundle": {name: value for name, value in manifest.items() if name not in _FACTS},
        "heads": sorted(settings.heads),
        "min_face": settings.min_face,
        "face_confidence": settings.face_confidence,
        "precision": settings.precision,
    }
    text = json.dumps(decisive, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).digest()[:KEY_BYTES]


@overload
def key_of_heads(key: bytes, heads: Collection[str] | None, settings: Settings) -> bytes: ...


@overload
def key_of_heads(key: None, heads: Collection[str] | None, settings: Settings) -> None: ...


def key_of_heads(
    key: bytes | None, heads: Collection[str] | None, settings: Settings
) -> bytes | None:
    """Return the key of labels of some heads alone, from the key of all that the settings name.

    None stays None.
    """
    if key is None or heads is None or set(settings.heads) <= set(heads):
        return key
    labelled = sorted(set(settings.heads) & set(heads))
    return hashlib.sha256(key + ",".join(labelled).encode()).digest()[:KEY_BYTES]


def current_key(session: Session, settings: Settings) -> bytes | None:
    """Return the key of the labels that workers with these settings give now.

    A promoted champion labels; before the first promotion, workers label with FACETAG_BUNDLE, as
    `ChampionWatcher.load_first` does. Returns None where that bundle is not on this machine.
    """
    champion = find_champion(session, tenant_id=settings.tenant_id)
    if champion is not None and champion.number:
        return labelling_key(champion.manifest, settings)
    folder = settings.bundle or DEFAULT_FOLDER
    try:
        return labelling_key(_read_once(folder, (folder / MANIFEST).stat().st_mtime_ns), settings)
    except (OSError, BundleInvalid):
        return None


@lru_cache(maxsize=2)
def _read_once(folder: Path, mtime_ns: int) -> dict[str, Any]:  # noqa: ARG001 - part of the key
    return read_manifest(folder)
