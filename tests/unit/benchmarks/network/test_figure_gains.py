"""The verdict on two networks counts all six figures, and each of them can forbid it."""

import numpy as np
import pytest

from benchmarks.network.figure_gains import judge, measure_figures

COUNT = 400


@pytest.fixture
def labels():
    rng = np.random.default_rng(3)
    return {
        "age": rng.uniform(1, 90, COUNT).astype(np.float32),
        "gender": rng.integers(0, 2, COUNT).astype(np.float32),
        "race": rng.integers(0, 5, COUNT).astype(np.float32),
    }


def answer(labels, *, years, wrong):
    """Ages that err by these years, and labels of which this share is wrong."""
    rng = np.random.default_rng(4)
    errs = rng.permutation(COUNT) < wrong * COUNT
    age = labels["age"] + rng.normal(0, years, COUNT)
    gender = np.where(errs, 1 - labels["gender"], labels["gender"])
    race = np.where(errs, (labels["race"] + 1) % 5, labels["race"])
    return {"age": age[:, None], "gender": gender[:, None], "race": np.eye(5)[race.astype(int)]}


def test_a_network_that_errs_less_everywhere_is_surely_better(labels):
    worse, better = (answer(labels, years=8, wrong=0.2), answer(labels, years=6, wrong=0.1))
    verdict = judge(measure_figures(labels, worse, worse), measure_figures(labels, better, better))
    assert verdict.is_better
    assert verdict.gains["gender, clean"].value == pytest.approx(0.1)
    assert 1 < verdict.gains["age, corrupted"].value < 3


def test_one_figure_that_is_surely_worse_forbids_it(labels):
    worse, better = (answer(labels, years=8, wrong=0.2), answer(labels, years=6, wrong=0.1))
    mixed = {**better, "race": answer(labels, years=6, wrong=0.35)["race"]}
    verdict = judge(measure_figures(labels, worse, worse), measure_figures(labels, better, mixed))
    assert verdict.mean.low > 0
    assert verdict.gains["race, corrupted"].high < 0
    assert not verdict.is_better


def test_a_network_is_no_better_than_itself(labels):
    figures = measure_figures(labels, *[answer(labels, years=8, wrong=0.2)] * 2)
    verdict = judge(figures, figures)
    assert verdict.mean.value == 0
    assert not verdict.is_better
