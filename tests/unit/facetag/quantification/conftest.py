"""Faces of a labeller with known errors, so that true shares are known too."""

import numpy as np
import pytest

from facetag.quantification.groupings import codes_of_ages
from facetag.quantification.held_out_answers import Answers, HeldOut


def draw_faces(count, seed, *, female=0.5, races=(0.4, 0.2, 0.15, 0.15, 0.1), blur=1.0):
    """Draw labels by these shares, and answers whose certainty falls as `blur` grows."""
    rng = np.random.default_rng(seed)
    genders = (rng.random(count) < female).astype(np.intp)
    logits = (2 * genders - 1) * 1.5 / blur + rng.normal(0, 1.2, count)
    race = rng.choice(5, count, p=races)
    scores = rng.normal(0, 1, (count, 5)) + 2.0 / blur * np.eye(5)[race]
    # "other" is often taken for "white".
    scores[race == 4, 0] += 1.5
    years = rng.uniform(0, 90, count)
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    answers = Answers(
        np.round(1 / (1 + np.exp(-2 * logits)), 4),
        np.round(chances, 4),
        np.round(np.maximum(years + rng.normal(0, 5, count), 0), 1),
    )
    return HeldOut(answers, {"gender": genders, "race": race, **codes_of_ages(years)})


@pytest.fixture(scope="session")
def held_out():
    return draw_faces(1500, seed=1)
