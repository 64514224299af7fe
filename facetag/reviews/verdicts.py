"""Settle what several reviewers said of one face into the labels that count."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from facetag.heads import GENDER, HEADS, HEADS_BY_NAME, RACE

DISPUTED = "disputed"
"""The verdict on a face of which reviewers said contrary things."""


class Verdict(StrEnum):
    """What a reviewer says of a face; `missed` is a face that the detector did not find."""

    ACCEPTED = "accepted"
    CORRECTED = "corrected"
    CANNOT_TELL = "cannot_tell"
    NO_FACE = "no_face"
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class Opinion:
    """Hold one reviewer's present word on one face; None leaves the network's label.

    An age is given as a band of years, whose ends are equal if a number was given.
    """

    reviewer: str
    verdict: Verdict
    ages: tuple[float, float] | None = None
    gender: str | None = None
    race: str | None = None


def settle(attributes: Mapping[str, Any], opinions: Sequence[Opinion]) -> dict[str, Any] | None:
    """Return a face's attributes with the labels of most reviewers; None if most see no face.

    A label on which reviewers are split stays the network's and is uncertain; so is one that most
    cannot tell. The field `reviewed` names the reviewers, the verdict and the network's labels.
    """
    faces = [one for one in opinions if one.verdict != Verdict.NO_FACE]
    if 2 * len(faces) < len(opinions):
        return None
    settled = dict(attributes)
    doubted = set(attributes.get("uncertain") or ())
    split = 2 * len(faces) == len(opinions)
    for head in (GENDER, RACE):
        doubted.discard(head.name)
        votes = [_label_of(one, head.name, attributes) for one in faces]
        label, sure = _most_of(votes)
        split = split or not sure
        if label is None or not sure:
            doubted.add(head.name)
        elif label != label_of(attributes, head.name):
            settled[head.name] = _certain(head.name, label)
    _settle_age(settled, doubted, faces)
    heads = [head.name for head in HEADS if head.name in settled]
    settled["uncertain"] = [name for name in heads if name in doubted]
    settled["reviewed"] = {
        "by": sorted({one.reviewer for one in opinions}),
        "verdict": DISPUTED if split else _verdict_of(faces),
        "said": labels_of(attributes),
    }
    return settled


def labels_of(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a face's age and labels without their probabilities."""
    found = {head.name: label_of(attributes, head.name) for head in HEADS}
    return {name: label for name, label in found.items() if label is not None}


def label_of(attributes: Mapping[str, Any], head: str) -> Any:
    """Return a label or an age; None if the network does not give it."""
    value = attributes.get(head)
    return value["label"] if isinstance(value, Mapping) else value


def _label_of(opinion: Opinion, head: str, attributes: Mapping[str, Any]) -> str | None:
    given: str | None = getattr(opinion, head)
    if given is not None:
        return given
    if opinion.verdict == Verdict.CANNOT_TELL:
        return None
    said: str | None = label_of(attributes, head)
    return said


def _most_of(votes: Sequence[str | None]) -> tuple[str | None, bool]:
    """Return the label with the most votes, and whether no other has as many."""
    ranked = Counter(votes).most_common(2)
    sure = len(ranked) < 2 or ranked[0][1] > ranked[1][1]
    return ranked[0][0], sure


def _certain(head: str, label: str) -> dict[str, Any]:
    if HEADS_BY_NAME[head].kind == "binary":
        return {"label": label, "probability": 1.0}
    others = dict.fromkeys(HEADS_BY_NAME[head].labels, 0.0)
    return {"label": label, "probabilities": others | {label: 1.0}}


def _settle_age(settled: dict[str, Any], doubted: set[str], faces: Sequence[Opinion]) -> None:
    bands = [one.ages for one in faces if one.ages is not None]
    accepted = sum(one.ages is None and one.verdict != Verdict.CANNOT_TELL for one in faces)
    if not bands or len(bands) < accepted:
        if accepted:
            doubted.discard("age")
        elif faces:
            doubted.add("age")
        return
    doubted.discard("age")
    middle = sum((low + high) / 2 for low, high in bands) / len(bands)
    settled["age"] = round(middle, 1)
    settled["age_range"] = [
        round(min(low for low, _ in bands)),
        round(max(high for _, high in bands)),
    ]


def _verdict_of(faces: Sequence[Opinion]) -> str:
    said = {one.verdict for one in faces}
    for verdict in (Verdict.MISSED, Verdict.CORRECTED, Verdict.CANNOT_TELL):
        if verdict in said:
            return verdict.value
    return Verdict.ACCEPTED.value
