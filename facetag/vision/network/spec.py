"""Describe the architecture of a network, as bundles state it."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from facetag.heads import HEADS_BY_NAME

Backbone = Literal["inceptionv3", "xception", "cnn", "tiny"]
BACKBONES: tuple[str, ...] = get_args(Backbone)
"""Names of the backbones in `facetag.vision.network.backbones`."""
APPLICATIONS = {"inceptionv3": "InceptionV3", "xception": "Xception"}
"""The backbones of `keras.applications`, for which ImageNet weights are published."""


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """Hold everything that determines a network's architecture."""

    backbone: str = "inceptionv3"
    input_size: int = 160
    heads: tuple[str, ...] = tuple(HEADS_BY_NAME)
    hidden_units: int = 256
    dropout: float = 0.4
    age_output: Literal["value", "distribution"] = "value"
    """Whether the age head outputs years, or a distribution over years whose mean is the age."""

    def to_json(self) -> dict[str, Any]:
        """Return the spec as a bundle's manifest states it."""
        return {**asdict(self), "heads": list(self.heads)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "NetworkSpec":
        """Return the spec that a manifest states; fields of other purpose are ignored."""
        # Older manifests do not state `age_output`.
        stated = {"age_output": "value", **values}
        known = {name: stated[name] for name in (field.name for field in fields(cls))}
        return cls(**{**known, "heads": tuple(known["heads"])})
