"""Find labels that are likely wrong by confident learning, with cleanlab.

Source: Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset
Labels", Journal of Artificial Intelligence Research 70. The network must not have been fitted on
the images: it would repeat their labels.
"""

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from cleanlab.regression.rank import get_label_quality_scores as get_age_quality_scores

from facetag.age_bands import AGE_LABELS, band_label
from facetag.heads import AGE, HEADS, Head
from facetag_trainer.data.labels import LabelValues
from facetag_trainer.evaluation.bundle_evaluation import Evaluation

FEWEST = 10
"""Labels of a head with fewer images are not audited."""
FAR = 4.0
"""An age is doubted if it differs from the network's by this many times the usual spread."""
SPREAD_OF_MAD = 1.4826
"""The standard deviation of normal values over their median absolute deviation."""


@dataclass(frozen=True, slots=True)
class DoubtedLabel:
    """A label to review: what was given, what the network reads, and cleanlab's score."""

    image: str
    head: str
    given: str
    read: str
    quality: float
    """0 to 1; the lower, the likelier the label is wrong."""


@dataclass(frozen=True, slots=True)
class AuditedGroup:
    """How many images with one label, or one band of age, are doubted."""

    head: str
    label: str
    images: int
    doubted: int
    most_read: str
    """The label that the network reads most in doubted images; empty without any."""


@dataclass(frozen=True, slots=True)
class LabelAudit:
    """Labels to review, the likeliest errors of each head first, and groups in order."""

    doubted: Sequence[DoubtedLabel]
    groups: Sequence[AuditedGroup]
    too_few: Mapping[str, int]
    """How many labels a head has that was left out for having fewer than FEWEST."""


def audit_labels(evaluation: Evaluation) -> LabelAudit:
    """Return the labels that a network's readings make doubtful, head by head."""
    doubted: list[DoubtedLabel] = []
    groups: list[AuditedGroup] = []
    too_few: dict[str, int] = {}
    names = [sample.name for sample in evaluation.samples]
    for head in HEADS:
        if head.name not in evaluation.outputs or head.name not in evaluation.labels:
            continue
        labels = evaluation.labels[head.name]
        known = np.flatnonzero(~np.isnan(labels))
        if len(known) < FEWEST:
            too_few[head.name] = len(known)
            continue
        outputs = evaluation.outputs[head.name][known]
        given = labels[known]
        audit = _audit_ages if head.name == AGE.name else _audit_classes
        found = list(audit(head, given, outputs, [names[place] for place in known]))
        doubted += found
        groups += _count_groups(head, given, found)
    return LabelAudit(doubted, groups, too_few)


def _audit_classes(
    head: Head, given: LabelValues, outputs: LabelValues, names: Sequence[str]
) -> Iterator[DoubtedLabel]:
    chances = np.hstack([1 - outputs, outputs]) if head.units == 1 else outputs.astype(np.float64)
    chances = chances / chances.sum(axis=1, keepdims=True)
    codes = given.astype(np.intp)
    if len(np.unique(codes)) < 2:
        # Confident learning compares classes with one another.
        return
    with warnings.catch_warnings():
        # cleanlab says that rare labels may keep errors: the table of groups shows how rare.
        warnings.simplefilter("ignore", UserWarning)
        places = find_label_issues(
            codes, chances, return_indices_ranked_by="self_confidence", n_jobs=1
        )
    qualities = get_label_quality_scores(codes, chances)
    for place in places:
        yield DoubtedLabel(
            names[place],
            head.name,
            head.labels[codes[place]],
            head.labels[int(chances[place].argmax())],
            round(float(qualities[place]), 4),
        )


def _audit_ages(
    head: Head, given: LabelValues, outputs: LabelValues, names: Sequence[str]
) -> Iterator[DoubtedLabel]:
    read = outputs[:, 0]
    off = np.abs(read - given)
    spread = max(SPREAD_OF_MAD * float(np.median(off)), 1.0)
    qualities = get_age_quality_scores(given.astype(np.float64), read)
    far = np.flatnonzero(off > FAR * spread)
    for place in far[np.argsort(qualities[far], kind="stable")]:
        yield DoubtedLabel(
            names[place],
            head.name,
            f"{given[place]:.0f}",
            f"{read[place]:.0f}",
            round(float(qualities[place]), 4),
        )


def _count_groups(
    head: Head, given: LabelValues, doubted: Sequence[DoubtedLabel]
) -> Iterator[AuditedGroup]:
    def group_of(label: str) -> str:
        return band_label(float(label)) if head.name == AGE.name else label

    texts = [
        f"{value:.0f}" if head.name == AGE.name else head.labels[int(value)] for value in given
    ]
    images = Counter(map(group_of, texts))
    for label in AGE_LABELS if head.name == AGE.name else head.labels:
        read = Counter(group_of(one.read) for one in doubted if group_of(one.given) == label)
        if images[label]:
            most = read.most_common(1)
            yield AuditedGroup(
                head.name, label, images[label], read.total(), most[0][0] if most else ""
            )
