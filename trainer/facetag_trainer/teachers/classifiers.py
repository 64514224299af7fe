"""Support vector machines on face descriptors: what descriptors say of gender, race and age.

Answers about images to fit on are out of fold: no machine answers for an image whose label, or
whose look-alike's label, it was fitted on. Answers about all others come from the machines of all
folds.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from sklearn.svm import SVC, SVR

from facetag.heads import HEADS_BY_NAME, MAX_AGE
from facetag.vision.difference_hash import Hashes
from facetag_trainer.data.splits import split_folds

FOLDS = 5
COST, AGE_COST = 4.0, 20.0
"""Of errors, by which a machine is fitted the closer the higher; chosen on folds."""
GAMMA = 2.0
"""Of the kernel exp(-gamma |a - b|^2): descriptors of one person lie within 0.6 of each other."""
SURE = 1e-3
"""Probabilities are held off 0 and 1 by this much."""
Values = npt.NDArray[np.float32]


def answer_out_of_fold(
    descriptors: Values,
    labels: Mapping[str, Values],
    hashes: Hashes,
    held_out: npt.NDArray[np.bool_],
    *,
    on_fold: Callable[[], None] = lambda: None,
) -> dict[str, Values]:
    """Return answers (n, units) a head for images with these descriptors (n, 128).

    `labels` (n,) a head may hold NaN, `hashes` (n, 32) tell look-alikes, and what is held out (n,)
    is never fitted on. A head is left out if a fold's machine would know too few of its labels.
    """
    folds = np.zeros(len(hashes), np.intp)
    folds[~held_out] = split_folds(hashes[~held_out], FOLDS)
    answers = {}
    for name, truth in labels.items():
        raw = np.zeros((len(truth), HEADS_BY_NAME[name].units))
        to_fit = [(folds > 0) & (folds != fold) & ~np.isnan(truth) for fold in range(1, FOLDS + 1)]
        if any(len(np.unique(truth[fitted])) < 2 for fitted in to_fit):
            continue
        for fold, fitted in enumerate(to_fit, 1):
            mine, shared = folds == fold, held_out
            decide = _fit_machine(name, descriptors[fitted], truth[fitted])
            if mine.any():
                raw[mine] = decide(descriptors[mine])
            if shared.any():
                raw[shared] += decide(descriptors[shared]) / FOLDS
            on_fold()
        known = ~held_out & ~np.isnan(truth)
        answers[name] = _to_answers(name, raw, truth, known)
    return answers


def _fit_machine(
    name: str, descriptors: Values, truth: Values
) -> Callable[[Values], npt.NDArray[np.float64]]:
    """Return what gives decision values (n, units), or ages (n, 1), of descriptors."""
    head = HEADS_BY_NAME[name]
    if head.kind == "regression":
        machine = SVR(C=AGE_COST, gamma=GAMMA, epsilon=2.0).fit(descriptors, truth)
        return lambda seen: machine.predict(seen)[:, None]
    classifier = SVC(C=COST, gamma=GAMMA).fit(descriptors, truth.astype(int))

    def decide(seen: Values) -> npt.NDArray[np.float64]:
        values = classifier.decision_function(seen)
        if head.kind == "binary":
            return values[:, None]
        if values.ndim == 1:
            # It knows two labels alone.
            values = np.stack([-values, values], 1)
        # A label that no image has stays as unlikely as can be.
        spread = np.full((len(seen), head.units), values.min() - 1.0)
        spread[:, classifier.classes_] = values
        return spread

    return decide


def _to_answers(
    name: str, raw: npt.NDArray[np.float64], truth: Values, known: npt.NDArray[np.bool_]
) -> Values:
    """Return ages, or probabilities (n, units) by a scale and shifts fitted on known labels.

    Platt 1999 ("Probabilistic outputs for support vector machines"), and its form for several
    labels. Out of fold, decision values say how far they can be trusted.
    """
    kind = HEADS_BY_NAME[name].kind
    if kind == "regression":
        return raw.clip(0, MAX_AGE).astype(np.float32)
    values = np.concatenate([np.zeros_like(raw), raw], axis=1) if kind == "binary" else raw
    codes, seen = truth[known].astype(int), values[known]

    def probabilities(parameters: npt.NDArray[np.float64], of: npt.NDArray[np.float64]) -> Values:
        logits = of * parameters[0] + np.concatenate([[0.0], parameters[1:]])
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: Values = raised / raised.sum(axis=1, keepdims=True)
        return shares

    def loss(parameters: npt.NDArray[np.float64]) -> float:
        chosen = probabilities(parameters, seen)[np.arange(len(codes)), codes]
        return float(-np.log(chosen.clip(1e-12)).mean())

    start = np.concatenate([[1.0], np.zeros(values.shape[1] - 1)])
    fitted = minimize(loss, start, method="L-BFGS-B").x
    answer = probabilities(fitted, values).clip(SURE, 1 - SURE).astype(np.float32)
    return answer[:, 1:] if kind == "binary" else answer
