"""Settle what several reviewers said of one face into the labels that count."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean
from typing import Any

from facetag.age_bands import band_label
from facetag.heads import AGE, FACE, HEADS, HEADS_BY_NAME, Head

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
    cannot tell. Ages within one of the bands of `age_bands` agree, and their mean counts. If as
    many see no face as see one, the face is uncertain, too. The field `reviewed` names the
    reviewers, the verdict and the network's labels.
    """
    faces = [one for one in opinions if one.verdict != Verdict.NO_FACE]
    if 2 * len(faces) < len(opinions):
        return None
    settled = dict(attributes)
    doubted = {FACE} if 2 * len(faces) == len(opinions) else set()
    split = bool(doubted)
    for head in HEADS:
        votes = [_vote(one, head, attributes) for one in faces]
        label, sure = _most_of(votes)
        split = split or not sure
        if label is None or not sure:
            doubted.add(head.name)
        elif head == AGE:
            settled |= _mean_age(label, faces, attributes)
        elif label != label_of(attributes, head.name):
            settled[head.name] = _certain(head.name, label)
    names = [FACE, *(head.name for head in HEADS if head.name in settled)]
    settled["uncertain"] = [name for name in names if name in doubted]
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


def _vote(opinion: Opinion, head: Head, attributes: Mapping[str, Any]) -> str | None:
    """Return the label, or the age's band, that a reviewer gives or leaves; None if neither."""
    if head == AGE:
        years = _years_of(opinion, attributes)
        return None if years is None else band_label(years)
    given: str | None = getattr(opinion, head.name)
    if given is not None:
        return given
    if opinion.verdict == Verdict.CANNOT_TELL:
        return None
    said: str | None = label_of(attributes, head.name)
    return said


def _years_of(opinion: Opinion, attributes: Mapping[str, Any]) -> float | None:
    """Return the age, or the middle of the band, that a reviewer gives or leaves."""
    if opinion.ages is not None:
        return sum(opinion.ages) / 2
    if opinion.verdict == Verdict.CANNOT_TELL:
        return None
    said: float | None = label_of(attributes, AGE.name)
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


def _mean_age(band: str, faces: Sequence[Opinion], attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mean age, and the range, of those who give or leave an age in this band.

    Nothing if all of them leave the network's.
    """
    agreed = [one for one in faces if _vote(one, AGE, attributes) == band]
    if all(one.ages is None for one in agreed):
        return {}
    years = [_years_of(one, attributes) for one in agreed]
    left = attributes.get("age_range") or ()
    ends = [end for one in agreed for end in one.ages or left]
    return {
        "age": round(fmean(age for age in years if age is not None), 1),
        "age_range": [round(min(ends)), round(max(ends))],
    }


def _verdict_of(faces: Sequence[Opinion]) -> str:
    said = {one.verdict for one in faces}
    for verdict in (Verdict.MISSED, Verdict.CORRECTED, Verdict.CANNOT_TELL):
        if verdict in said:
            return verdict.value
    return Verdict.ACCEPTED.value
