"""Write the result of one image in the JSON form that outsiders read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from facetag.heads import HEADS

Line = dict[str, Any]
"""The results of one image, as `image_line` writes them."""

_KEYS = tuple(key for head in HEADS for key in (head.name, f"{head.name}_range"))
_LABELS = tuple((head.name, head.labels) for head in HEADS if head.labels)


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face.

    `box` is x, y, width, height in whole pixels of the upright image, clipped to it. `confidence`
    is the probability that it is a face. `attributes` maps each head's name to its JSON value, and
    `uncertain` to the names of heads with an uncertain label (absent if the bundle states no
    threshold), after "face" where it may be none (see `is_counted`). `turned` is
    about how many degrees clockwise the photo is turned, a multiple of 45 (absent if upright).
    """

    box: tuple[int, int, int, int]
    confidence: float
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the face in the JSON form of the results."""
        return {
            "box": list(self.box),
            "confidence": round(self.confidence, 4),
            **in_order(self.attributes),
        }


def image_line(
    *,
    name: str,
    state: str,
    error: tuple[str, str] | None,
    model: str | None,
    width: int | None,
    height: int | None,
    faces: Sequence[Face],
    incomplete: bool = False,
    duplicate_of: str | None = None,
) -> dict[str, Any]:
    """Return one image's line of the results; `error` is a code and a message.

    Only the line of an image that was labelled although its file lacks its last bytes has the field
    `incomplete`, which is true. Only that of an image that repeats another one has `duplicate_of`,
    the name of the first one.
    """
    line: dict[str, Any] = {
        "image": name,
        "state": state,
        "error": None if error is None else {"code": error[0], "message": error[1]},
        "model": model,
        "width": width,
        "height": height,
        "faces": [face.to_json() for face in faces],
    }
    if incomplete:
        line["incomplete"] = True
    if duplicate_of is not None:
        line["duplicate_of"] = duplicate_of
    return line


def in_order(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a face's attributes in the order of the heads, which JSONB loses; others by name."""
    ordered = {key: attributes[key] for key in _in_order(tuple(attributes))}
    for name, labels in _LABELS:
        value = ordered.get(name)
        if isinstance(value, dict) and "probabilities" in value:
            found = value["probabilities"]
            ordered[name] = {
                "label": value["label"],
                "probabilities": {label: found[label] for label in labels if label in found},
            }
    return ordered


@lru_cache(maxsize=256)
def _in_order(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names of attributes in the order of the heads, then others by name."""
    heads = tuple(key for key in _KEYS if key in names)
    return heads + tuple(sorted(set(names) - set(heads)))


def age_fields(age: float, age_range: tuple[float, float]) -> dict[str, Any]:
    """Return the JSON fields of an apparent age in years with its range."""
    low, high = age_range
    return {"age": round(age, 1), "age_range": [round(low), round(high)]}


def binary_field(labels: Sequence[str], probability_of_second: float) -> dict[str, Any]:
    """Return the JSON value of a binary head: the likelier label and its probability."""
    second = probability_of_second >= 0.5
    probability = probability_of_second if second else 1.0 - probability_of_second
    return {"label": labels[int(second)], "probability": round(probability, 4)}


def categorical_field(labels: Sequence[str], probabilities: Sequence[float]) -> dict[str, Any]:
    """Return the JSON value of a categorical head: the likeliest label and all probabilities."""
    best = max(range(len(labels)), key=lambda index: probabilities[index])
    return {
        "label": labels[best],
        "probabilities": {
            label: round(float(value), 4)
            for label, value in zip(labels, probabilities, strict=True)
        },
    }
