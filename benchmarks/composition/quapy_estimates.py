"""Estimate shares with QuaPy, which is not installed with facetag: `pip install quapy`."""

from collections.abc import Sequence

import click
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from facetag.quantification.groupings import Grouping
from facetag.quantification.held_out_answers import Answers, Codes, HeldOut, Values
from facetag.quantification.likelihoods import SMALLEST

Pair = tuple[HeldOut, HeldOut]
"""A collection, and the faces that fit its calibration."""


class _AnswersAsClassifier(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose inputs are probabilities already."""

    def __init__(self, classes: int) -> None:
        self.classes_ = np.arange(classes)

    def fit(self, chances: Values, codes: Codes) -> "_AnswersAsClassifier":
        raise NotImplementedError("the probabilities are given")

    def predict_proba(self, chances: Values) -> Values:
        return chances

    def predict(self, chances: Values) -> Values:
        return np.asarray(chances.argmax(axis=1))


def compare_quapy(grouping: Grouping, pairs: Sequence[Pair]) -> dict[str, float]:
    """Return the mean absolute error of QuaPy's methods for gender or race.

    Raises click.ClickException where QuaPy is not installed.
    """
    try:
        from quapy.method.aggregative import EMQ, PACC
    except ModuleNotFoundError as error:
        raise click.ClickException("QuaPy is not installed: run `pip install quapy`.") from error
    classes = len(grouping.labels)
    methods = {
        "EMQ": lambda: EMQ(_AnswersAsClassifier(classes), fit_classifier=False),
        "EMQ, bias-corrected": lambda: EMQ(
            _AnswersAsClassifier(classes), fit_classifier=False, calib="bcts"
        ),
        "PACC": lambda: PACC(_AnswersAsClassifier(classes), fit_classifier=False),
    }
    errors: dict[str, list[float]] = {name: [] for name in methods}
    for collection, known in pairs:
        codes = grouping.codes(collection.codes)
        truth = np.bincount(codes, minlength=classes) / len(codes)
        labels = grouping.codes(known.codes)
        for name, make in methods.items():
            method = make()
            method.train_prevalence = np.bincount(labels, minlength=classes) / len(labels)
            method.aggregation_fit(_chances(grouping, known.answers), labels)
            found = method.aggregate(_chances(grouping, collection.answers))
            errors[name].append(float(np.abs(found - truth).mean()))
    return {name: float(np.mean(values)) for name, values in errors.items()}


def _chances(grouping: Grouping, answers: Answers) -> Values:
    if grouping.name == "race" and answers.race is not None:
        chances = answers.race
    elif grouping.name == "gender" and answers.female is not None:
        chances = np.stack([1 - answers.female, answers.female], axis=1)
    else:
        raise click.ClickException("QuaPy is compared for gender and race only.")
    # Four decimals may be 0, whose logarithm QuaPy takes, and do not add up to 1.
    chances = np.clip(chances, SMALLEST, 1)
    shares: Values = chances / chances.sum(axis=1, keepdims=True)
    return shares
