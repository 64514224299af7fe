"""Open a bundle: a network's weights and the manifest that says how to build, feed and read it.

A bundle holds `bundle.json`, `network.weights.h5` (float16 Keras weights) and `card.md`. Code
builds the architecture. Only weights are loaded, after a check of their checksum: never a pickle,
never a whole Keras model. Opening a bundle needs no Keras; loading its network does.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facetag.bundles.bundle_folder import (
    DEFAULT_FOLDER,
    MANIFEST,
    WEIGHTS,
    check_weights,
    read_manifest,
)
from facetag.errors import BundleInvalid
from facetag.heads import HEADS_BY_NAME
from facetag.vision.crop import CropRule, read_crop_rule
from facetag.vision.network.age_range import AgeRange
from facetag.vision.network.calibration import Calibration
from facetag.vision.network.mirror_averaging import Mirroring
from facetag.vision.network.spec import BACKBONES, NetworkSpec

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, slots=True)
class Bundle:
    """Hold a bundle's manifest and the folder it was read from."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def version(self) -> str:
        """The bundle's name: its date and the first characters of its weights' checksum."""
        return str(self.manifest["version"])

    @property
    def spec(self) -> NetworkSpec:
        """The architecture of the network."""
        return NetworkSpec.from_json(self.manifest["network"])

    @property
    def crop_rule(self) -> CropRule:
        """The rule by which crops for the network are cut."""
        return read_crop_rule(self.manifest["crop"])

    @property
    def age_range(self) -> AgeRange:
        """The range around an apparent age; raises BundleInvalid if the manifest has none."""
        try:
            return AgeRange.from_json(self.manifest["age_range"])
        except (KeyError, TypeError) as error:
            raise BundleInvalid(
                f"{self.folder / MANIFEST} has no age_range: make the bundle with `facetag train`."
            ) from error

    @property
    def calibration(self) -> Calibration:
        """The calibration; without one in the manifest, it changes nothing."""
        return Calibration.from_json(self.manifest.get("calibration"))

    @property
    def mirror(self) -> Mirroring:
        """For which faces the mirror image is read too; for none if the manifest does not say."""
        return Mirroring.from_json(self.manifest.get("mirror", False))

    @property
    def activation_ranges(self) -> Sequence[Sequence[float] | None]:
        """The ranges by which convolutions are quantised (see `inference.convert`), or none."""
        ranges: Sequence[Sequence[float] | None] = self.manifest.get("activation_ranges", [])
        return ranges

    def ranges_in(self, precision: str) -> Sequence[Sequence[float] | None] | None:
        """Return the ranges for quantising if `precision` is int8, otherwise None."""
        return self.activation_ranges if precision == "int8" else None

    def load_network(self) -> "keras.Model":
        """Build the network and load its weights.

        Raises BundleInvalid for a wrong checksum, and for weights of another network than the
        manifest's.
        """
        from facetag.vision.network.attributes import build_network

        check_weights(self.folder, self.manifest)
        network = build_network(self.spec)
        try:
            network.load_weights(self.folder / WEIGHTS)
        except (KeyError, OSError, TypeError, ValueError) as error:
            raise BundleInvalid(
                f"{self.folder / WEIGHTS} does not hold the network that {MANIFEST} states: fetch "
                "the bundle again."
            ) from error
        return network


def open_bundle(folder: Path | None = None) -> Bundle:
    """Read and check the manifest of a bundle, by default of the bundle that ships.

    Raises BundleInvalid if files are missing, or if the format or the heads are unknown.
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
    """Raise BundleInvalid, or the error that a missing or invalid field causes."""
    for field in ("version", "weights_sha256", "crop"):
        if not bundle.manifest[field]:
            raise ValueError(f"{field} is empty")
    if bundle.spec.backbone not in BACKBONES:
        raise ValueError(f"backbone {bundle.spec.backbone!r} is not known")
    stated_heads = bundle.manifest["heads"]
    if [stated["name"] for stated in stated_heads] != list(bundle.spec.heads):
        raise ValueError("`heads` differs from the heads of `network`")
    for stated in stated_heads:
        head = HEADS_BY_NAME.get(stated["name"])
        if head is None or list(head.labels) != stated["labels"] or head.kind != stated["kind"]:
            raise BundleInvalid(
                f"{bundle.folder} predicts {stated['name']} with labels {stated['labels']}, "
                "which this version of facetag does not know."
            )
    _ = bundle.crop_rule, bundle.calibration, bundle.mirror
    if bundle.manifest.get("age_range") is not None:
        AgeRange.from_json(bundle.manifest["age_range"])
