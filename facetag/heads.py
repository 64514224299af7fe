"""Define the attributes that a network predicts, and their labels, in order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

HeadKind = Literal["regression", "binary", "categorical"]


@dataclass(frozen=True, slots=True)
class Head:
    """Describe one attribute of a face.

    `labels` is indexed by the codes in UTKFace's file names; it is empty for a regression.
    A binary head's network output is the probability of `labels[1]`.
    """

    name: str
    kind: HeadKind
    labels: tuple[str, ...] = ()

    @property
    def units(self) -> int:
        """Width of the network's output for this head."""
        return len(self.labels) if self.kind == "categorical" else 1

    def code_of(self, label: str) -> int:
        """Return the code of a label; raises ValueError for an unknown one."""
        return self.labels.index(label)


AGE = Head("age", "regression")
GENDER = Head("gender", "binary", ("male", "female"))
RACE = Head("race", "categorical", ("white", "black", "asian", "indian", "other"))

HEADS: tuple[Head, ...] = (AGE, GENDER, RACE)
HEADS_BY_NAME: dict[str, Head] = {head.name: head for head in HEADS}
NO_HEADS = "none"
"""Stands for no attribute in a list of names, where nothing would mean that none is given."""

MAX_AGE = 116
"""The oldest apparent age in UTKFace's labels. Labels outside 0..116 are invalid."""

HELD_OUT_ANSWERS = "held_out_answers"
"""The field of a bundle's manifest with what it says of held-out images, and their labels."""
HELD_OUT_IMAGES = "held_out_images"
"""The field with digests of the held-out images by their part; other images may be fitted on."""

FACE = "face"
"""Stands in a face's `uncertain`, before the names of heads, if it may be no face."""


def is_counted(face: Mapping[str, Any]) -> bool:
    """Return whether a face in the JSON form of the results is surely one, so that it counts in who
    is in a collection.
    """
    return FACE not in (face.get("uncertain") or ())
