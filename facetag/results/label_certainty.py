"""Leave labels out of results that are not certain enough for whoever reads them."""

from collections.abc import Mapping
from typing import Any


def certain_labels(line: Mapping[str, Any], least: float) -> dict[str, Any]:
    """Return a line of results in which doubtful labels are null.

    A label is doubtful if it is marked uncertain, or if its probability is below `least`. Nothing
    else changes: boxes and `uncertain` stay.
    """
    return {**line, "faces": [_certain_face(face, least) for face in line["faces"]]}


def _certain_face(face: Mapping[str, Any], least: float) -> dict[str, Any]:
    doubts = set(face.get("uncertain") or ())
    gender, race = face.get("gender"), face.get("race")
    if gender and gender["probability"] < least:
        doubts.add("gender")
    if race and race["probabilities"][race["label"]] < least:
        doubts.add("race")
    fields = doubts & {"age", "gender", "race"} & set(face)
    if "age" in fields:
        fields.add("age_range")
    return {**face, **dict.fromkeys(fields & set(face))}
