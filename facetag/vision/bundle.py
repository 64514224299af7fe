"""A bundle: a network's weights with the manifest that says how to build, feed and read it.

`bundle.json`, `network.weights.h5` (float16 Keras weights) and `card.md`. The architecture is
built by code; only weights are loaded, and only after their checksum. Never a pickle, never a
whole model. A bundle is opened without Keras; its network is not.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facetag.bundles.folder import DEFAULT_FOLDER, MANIFEST, WEIGHTS, check_weights, read_manifest
from facetag.errors import BundleInvalid
from facetag.heads import HEADS_BY_NAME
from facetag.vision.crop import CropRule
from facetag.vision.network.age_range import AgeRange
from facetag.vision.network.calibration import Calibration
from facetag.vision.network.mirror_averaging import Mirroring
from facetag.vision.network.spec import BACKBONES, NetworkSpec

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle's manifest and the folder that it was read from."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def version(self) -> str:
        """The bundle's name: its date and the start of its weights' checksum."""
        return str(self.manifest["version"])

    @property
    def spec(self) -> NetworkSpec:
        """What the network is built from."""
        return NetworkSpec.from_json(self.manifest["network"])

    @property
    def crop_rule(self) -> CropRule:
        """The rule by which the network's crops were cut."""
        return CropRule.from_json(self.manifest["crop"])

    @property
    def age_range(self) -> AgeRange:
        """The range about an apparent age; raises BundleInvalid where the manifest has none."""
        try:
            return AgeRange.from_json(self.manifest["age_range"])
        except (KeyError, TypeError) as error:
            raise BundleInvalid(
                f"{self.folder / MANIFEST} has no age_range: make the bundle with `facetag train`."
            ) from error

    @property
    def calibration(self) -> Calibration:
        """Temperatures and thresholds; those of a manifest without them change nothing."""
        return Calibration.from_json(self.manifest.get("calibration"))

    @property
    def mirror(self) -> Mirroring:
        """Whose mirror image is read too; nobody's where the manifest says nothing."""
        return Mirroring.from_json(self.manifest.get("mirror", False))

    @property
    def activation_ranges(self) -> Sequence[Sequence[float] | None]:
        """The ranges by which convolutions are quantized (see `inference.convert`), or none."""
        ranges: Sequence[Sequence[float] | None] = self.manifest.get("activation_ranges", [])
        return ranges

    def ranges_in(self, precision: str) -> Sequence[Sequence[float] | None] | None:
        """Return what convolutions are quantized by if computed in `precision`: in int8 alone."""
        return self.activation_ranges if precision == "int8" else None

    def load_network(self) -> "keras.Model":
        """Build the network and load its weights; raises BundleInvalid unless the checksum fits."""
        from facetag.vision.network.attributes import build_network

        check_weights(self.folder, self.manifest)
        network = build_network(self.spec)
        network.load_weights(self.folder / WEIGHTS)
        return network


def open_bundle(folder: Path | None = None) -> Bundle:
    """Read and check the manifest of a bundle; the one that ships where no folder is given.

    Raises BundleInvalid where files are missing, or the format or the heads are not known here.
    """
    folder = folder or DEFAULT_FOLDER
    bundle = Bundle(folder, read_manifest(folder))
    try:
        _check_known(bundle)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BundleInvalid(
            f"{folder / MANIFEST} is incomplete, or needs another version of facetag: {error!r}."
        ) from error
    return bundle


def save_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write a manifest in one step, so that no reader meets half of it."""
    temporary = folder / f"{MANIFEST}.partial"
    temporary.write_text(json.dumps(manifest, indent=2) + "\n")
    temporary.replace(folder / MANIFEST)


def _check_known(bundle: Bundle) -> None:
    """Raise BundleInvalid, or what a missing or odd field causes, for what cannot be used here."""
    for field in ("version", "weights_sha256", "crop"):
        if not bundle.manifest[field]:
            raise ValueError(f"{field} is empty")
    if bundle.spec.backbone not in BACKBONES:
        raise ValueError(f"backbone {bundle.spec.backbone!r} is not known")
    stated_heads = bundle.manifest["heads"]
    if [stated["name"] for stated in stated_heads] != list(bundle.spec.heads):
        raise ValueError("the heads are not those of the network")
    for stated in stated_heads:
        head = HEADS_BY_NAME.get(stated["name"])
        if head is None or list(head.labels) != stated["labels"] or head.kind != stated["kind"]:
            raise BundleInvalid(
                f"{bundle.folder} predicts {stated['name']} with labels {stated['labels']}, "
                "which this version of facetag does not know."
            )
    _ = bundle.crop_rule, bundle.calibration, bundle.mirror
