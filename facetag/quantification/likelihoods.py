"""Compute how likely a face's answers are in each group, from the held-out images.

Shares are estimated under label shift: p(answers | group) is that of the held-out images, and only
the groups' shares differ. Probabilities are calibrated with one temperature and a bias a class
(Alexandari, Kundaje and Shrikumar 2020, "Maximum Likelihood with Bias-Corrected Calibration is
Hard-To-Beat at Label Shift Adaptation", arXiv:1901.06852) and divided by the held-out shares.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from facetag.quantification.age_likelihoods import AgeLikelihoods
from facetag.quantification.groupings import FACTORS, FINE_AGE, Grouping
from facetag.quantification.held_out_answers import Answers, HeldOut, Values

SMALLEST = 5e-4
"""Probabilities are held off 0 by this much: results keep four decimals."""
CHILD = 0
"""The band whose genders are read worst: its calibration has a slope of its own."""
BIAS_PENALTY, CHILD_PENALTY = 1e-3, 1e-2

Codes = npt.NDArray[np.intp]
Found = TypeVar("Found")
Loss = Callable[[Values], tuple[float, Values]]


@dataclass(frozen=True, slots=True)
class CalibrationFit:
    """Temperature and biases that a fit found, and the loss's inverse Hessian there."""

    values: Values
    inverse_hessian: Values


@dataclass(frozen=True, slots=True)
class FaceLikelihoods:
    """Likelihoods of n faces' answers, by factor; None for a factor that they do not state."""

    gender: Values | None
    """Of each gender within each band, (n, 2, bands)."""
    race: Values | None
    age: Values | None
    """Of each band, (n, bands)."""

    def take(self, rows: Mapping[str, Codes]) -> "FaceLikelihoods":
        """Return those of faces whose answers about each factor are those of these `rows` (m,)."""
        columns = (self.gender, self.race, self.age)
        return FaceLikelihoods(
            *(
                None if column is None else column[rows[factor]]
                for factor, column in zip(FACTORS, columns, strict=True)
            )
        )

    def of(self, grouping: Grouping) -> Values:
        """Return the likelihoods (n, groups) in a grouping's groups.

        Answers about two factors are taken as independent within a group.
        """
        first, *others = grouping.factors
        if not others:
            return self._single(first)
        second = others[0]
        if (first, second) == ("gender", "age"):
            joint = _known(self.gender) * _known(self.age)[:, None, :]
        else:
            joint = self._single(first)[:, :, None] * self._single(second)[:, None, :]
        return joint.reshape(len(joint), -1)

    def _single(self, factor: str) -> Values:
        if factor == "gender":
            by_band = _known(self.gender)
            if self.age is None:
                return by_band[:, :, -1]
            # What the age says of being a child decides how sure the gender is.
            child = (self.age[:, CHILD] / self.age.sum(axis=1))[:, None]
            mixed: Values = child * by_band[:, :, CHILD] + (1 - child) * by_band[:, :, -1]
            return mixed
        return _known(self.age if factor == "age" else self.race)


@dataclass(frozen=True, slots=True)
class Likelihoods:
    """Likelihoods by factor, fitted on held-out faces; up to a factor that depends on the face."""

    gender: Callable[[Answers], Values] | None
    """Of each gender within each band, (n, 2, bands): children's are read worse."""
    race: Callable[[Answers], Values] | None
    age: AgeLikelihoods | None
    calibrations: Mapping[str, CalibrationFit] = field(default_factory=dict)
    """By factor: where a fit to similar faces begins."""

    def adapt(self, answers: Answers, weights: Values | None = None) -> "Likelihoods":
        """Return the likelihoods for a collection, whose ages are spread otherwise within bands.

        `weights` (n,) say how often each of its faces counts.
        """
        if self.age is None:
            return self
        return replace(self, age=self.age.adapt(_known(answers.age), weights))

    def of_faces(self, answers: Answers) -> "FaceLikelihoods":
        """Return the likelihoods of faces' answers, by factor."""
        return FaceLikelihoods(
            None if self.gender is None else self.gender(answers),
            None if self.race is None else self.race(answers),
            None if self.age is None else self.age.of(_known(answers.age)),
        )

    def of(self, grouping: Grouping, answers: Answers) -> Values:
        """Return the likelihoods (n, groups) of faces' answers in a grouping's groups."""
        return self.of_faces(answers).of(grouping)


def fit_likelihoods(held_out: HeldOut, near: Likelihoods | None = None) -> Likelihoods:
    """Fit the likelihoods of every factor that the held-out faces have answers and labels for.

    The fit begins at `near`, likelihoods of similar faces, which saves most of its steps.
    """
    answers, codes = held_out.answers, held_out.codes
    start = {} if near is None else near.calibrations
    gender = race = age = None
    found: dict[str, CalibrationFit] = {}
    if answers.female is not None and "gender" in codes:
        gender, found["gender"] = _fit_gender(
            answers.female, codes["gender"], codes.get("age"), start.get("gender")
        )
    if answers.race is not None and "race" in codes:
        race, found["race"] = _fit_race(answers.race, codes["race"], start.get("race"))
    if answers.age is not None and "age" in codes:
        age = AgeLikelihoods.fit(answers.age, codes[FINE_AGE])
    return Likelihoods(gender, race, age, found)


def _fit_race(
    probabilities: Values, codes: Codes, near: CalibrationFit | None
) -> tuple[Callable[[Answers], Values], CalibrationFit]:
    logs, classes = _logs(probabilities), probabilities.shape[1]
    shares = _shares(codes, classes)

    def loss(values: Values) -> tuple[float, Values]:
        chances = _softmax(values[0] * logs + np.append(0.0, values[1:]))
        rows = np.arange(len(codes))
        nll = -np.log(chances[rows, codes] + 1e-12).mean()
        chances[rows, codes] -= 1
        slopes = np.append((chances * logs).sum(), chances[:, 1:].sum(axis=0)) / len(codes)
        penalty = np.append(0.0, 2 * BIAS_PENALTY * values[1:])
        return nll + BIAS_PENALTY * (values[1:] ** 2).sum(), slopes + penalty

    found = _minimize(loss, np.append(1.0, np.zeros(classes - 1)), near)
    slope, bias = found.values[0], np.append(0.0, found.values[1:])

    def likelihood(answers: Answers) -> Values:
        return _softmax(slope * _logs(_known(answers.race)) + bias) / shares

    return likelihood, found


def _fit_gender(
    female: Values, codes: Codes, bands: Codes | None, near: CalibrationFit | None
) -> tuple[Callable[[Answers], Values], CalibrationFit]:
    logits = _logits(female)
    child = np.zeros(len(codes)) if bands is None else (bands == CHILD).astype(float)
    shares = _shares(codes, 2)
    count = len(FACTORS["age"])

    def loss(values: Values) -> tuple[float, Values]:
        slope = values[0] + values[2] * child
        z = slope * logits + values[1]
        chances = 1 / (1 + np.exp(-z))
        nll = np.mean(np.logaddexp(0, z) - codes * z)
        error = (chances - codes) / len(codes)
        slopes = np.array([(error * logits).sum(), error.sum(), (error * logits * child).sum()])
        penalties = np.array([0.0, BIAS_PENALTY, CHILD_PENALTY])
        return nll + (penalties * values**2).sum(), slopes + 2 * penalties * values

    found = _minimize(loss, np.array([1.0, 0.0, 0.0]), near)
    slope, bias, of_children = found.values

    def likelihood(answers: Answers) -> Values:
        slopes = np.full(count, slope)
        slopes[CHILD] += of_children
        chances = 1 / (1 + np.exp(-(_logits(_known(answers.female))[:, None] * slopes + bias)))
        return np.stack([(1 - chances) / shares[0], chances / shares[1]], axis=1)

    return likelihood, found


def _minimize(loss: Loss, first: Values, near: CalibrationFit | None) -> CalibrationFit:
    """Minimize a loss that comes with its gradient, from `first`, or in few steps from `near`."""
    if near is None:
        found = minimize(loss, first, jac=True, method="BFGS")
    else:
        options = {"hess_inv0": near.inverse_hessian}
        found = minimize(loss, near.values, jac=True, method="BFGS", options=options)
    # Symmetric but for rounding, which the next fit would refuse.
    return CalibrationFit(found.x, (found.hess_inv + found.hess_inv.T) / 2)


def _known(found: Found | None) -> Found:
    if found is None:
        raise ValueError("the answers do not state this grouping")
    return found


def _shares(codes: Codes, classes: int) -> Values:
    # One face each beforehand: a class that is absent would divide by nothing.
    shares: Values = (np.bincount(codes, minlength=classes) + 1) / (len(codes) + classes)
    return shares


def _logs(probabilities: Values) -> Values:
    logs: Values = np.log(np.clip(probabilities, SMALLEST, 1))
    return logs


def _logits(female: Values) -> Values:
    clipped = np.clip(female, SMALLEST, 1 - SMALLEST)
    logits: Values = np.log(clipped / (1 - clipped))
    return logits


def _softmax(logits: Values) -> Values:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances: Values = raised / raised.sum(axis=1, keepdims=True)
    return chances
