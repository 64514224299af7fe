"""What a network is built from, as bundles state it."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from facetag.heads import HEADS_BY_NAME

BACKBONES = ("cnn", "xception", "inceptionv3", "tiny")
"""Names of the backbones that there are (`facetag.vision.network.backbones`)."""


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """All that determines a network's architecture."""

    backbone: str = "inceptionv3"
    input_size: int = 160
    heads: tuple[str, ...] = tuple(HEADS_BY_NAME)
    hidden_units: int = 256
    dropout: float = 0.4
    age_output: Literal["value", "distribution"] = "value"
    """Whether the age head gives years, or a distribution over them, of which it is the mean."""

    def to_json(self) -> dict[str, Any]:
        """Return the spec as a bundle's manifest states it."""
        return {**asdict(self), "heads": list(self.heads)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "NetworkSpec":
        """Return the spec that a manifest states, ignoring what is not the network's."""
        # Manifests of before there was a choice do not state it.
        stated = {"age_output": "value", **values}
        known = {name: stated[name] for name in (field.name for field in fields(cls))}
        return cls(**{**known, "heads": tuple(known["heads"])})
