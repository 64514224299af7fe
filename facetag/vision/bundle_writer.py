"""Write a fitted network as a bundle: float16 weights and their manifest."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from facetag.bundles.bundle_folder import FORMAT, WEIGHTS, file_sha256
from facetag.errors import BundleInvalid
from facetag.heads import HEADS_BY_NAME
from facetag.vision.bundle import Bundle, save_manifest
from facetag.vision.crop import CropRule
from facetag.vision.network.spec import NetworkSpec


def write_bundle(
    folder: Path, network: keras.Model, spec: NetworkSpec, rule: CropRule, facts: Mapping[str, Any]
) -> Bundle:
    """Write the weights, then the manifest, to which `facts` are added.

    `facts` must hold `created` (an ISO date). That date and the weights' checksum make the version.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_float16(network, folder / WEIGHTS)
    digest = file_sha256(folder / WEIGHTS)
    manifest = {
        "format": FORMAT,
        "version": f"{facts['created']}-{digest[:8]}",
        "network": spec.to_json(),
        "crop": rule.to_json(),
        "heads": [
            {"name": head.name, "kind": head.kind, "labels": list(head.labels)}
            for head in (HEADS_BY_NAME[name] for name in spec.heads)
        ],
        "weights_sha256": digest,
        **facts,
    }
    save_manifest(folder, manifest)
    return Bundle(folder, manifest)


def without_identity(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a manifest: what `write_bundle` adds to its own fields."""
    own = ("format", "version", "network", "crop", "heads", "weights_sha256")
    return {name: value for name, value in manifest.items() if name not in own}


def save_float16(network: keras.Model, path: Path) -> None:
    """Save a network's weights in Keras's format as float16.

    Raises BundleInvalid if a weight does not fit into float16.
    """
    whole = path.with_name("whole.weights.h5")
    network.save_weights(whole)
    try:
        with h5py.File(whole) as source, h5py.File(path, "w") as target:
            source.visititems(lambda name, item: _copy_halved(name, item, target))
            for name, value in source.attrs.items():
                target.attrs[name] = value
    finally:
        whole.unlink()


def _copy_halved(name: str, item: h5py.Dataset | h5py.Group, target: h5py.File) -> None:
    if name.split("/")[0] == "optimizer":
        # The optimizer's moments take twice the space of the weights and are not needed to predict.
        return
    if isinstance(item, h5py.Group):
        copy = target.require_group(name)
    else:
        values = item[()]
        if values.dtype == np.float32:
            values = values.astype(np.float16)
            if not np.all(np.isfinite(values)):
                raise BundleInvalid(f"The weight {name} does not fit into float16.")
        copy = target.create_dataset(name, data=values)
    for key, value in item.attrs.items():
        copy.attrs[key] = value
