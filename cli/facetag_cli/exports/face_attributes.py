"""Name a face's attributes one by one, as tools for annotations have them."""

from collections.abc import Iterable
from typing import Any

from facetag.client.api_client import Line
from facetag.heads import HEADS


def was_labelled(line: Line) -> bool:
    """Return whether a photo was labelled: of a failed one nobody knows whether it shows faces."""
    return line["error"] is None and line["width"] is not None


def flat_attributes(face: dict[str, Any]) -> dict[str, Any]:
    """Return the apparent age and the labels of a face with their probabilities, without nesting.

    Heads that the network lacks, and labels left out for want of certainty, have no key. `reviewed`
    is the verdict of people on the face.
    """
    flat: dict[str, Any] = {"confidence": face["confidence"]}
    if face.get("age") is not None:
        flat["age"] = face["age"]
        flat["age_low"], flat["age_high"] = face["age_range"]
    for head in HEADS:
        value = face.get(head.name)
        if isinstance(value, dict):
            label = value["label"]
            flat[head.name] = label
            probabilities = value.get("probabilities")
            flat[f"{head.name}_probability"] = (
                probabilities[label] if probabilities else value["probability"]
            )
    if face.get("uncertain"):
        flat["uncertain"] = " ".join(face["uncertain"])
    if face.get("reviewed"):
        flat["reviewed"] = face["reviewed"]["verdict"]
    return flat


def labelled_heads(faces: Iterable[dict[str, Any]]) -> list[str]:
    """Return the heads of which some face has a label: of others, an export does not speak."""
    left = {head.name for head in HEADS}
    for face in faces:
        left -= {name for name in left if face.get(name) is not None}
        if not left:
            break
    return [head.name for head in HEADS if head.name not in left]


def relative_box(face: dict[str, Any], width: int, height: int) -> list[float]:
    """Return x, y, width and height of a face as shares of the photo's, 0 to 1."""
    x, y, w, h = face["box"]
    return [x / width, y / height, w / width, h / height]
