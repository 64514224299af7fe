"""Candidates made worse on purpose, and ones that are not."""

import re

import numpy as np
import pytest

from facetag_trainer.retraining.promotion_gate import judge

COUNT = 1200


@pytest.fixture(scope="module")
def labels():
    rng = np.random.default_rng(1)
    return {
        "age": rng.uniform(1, 90, COUNT).astype(np.float32),
        "gender": rng.integers(0, 2, COUNT).astype(np.float32),
        "race": rng.integers(0, 5, COUNT).astype(np.float32),
    }


def answer(labels, seed=2, *, years=7.0, wrong=0.1, flipped=None):
    """Outputs with errors of this size; `flipped` are images whose gender is said wrongly."""
    rng = np.random.default_rng(seed)
    gender = np.where(rng.random(COUNT) < wrong, 1 - labels["gender"], labels["gender"])
    if flipped is not None:
        gender[flipped] = 1 - labels["gender"][flipped]
    race = np.where(rng.random(COUNT) < wrong, (labels["race"] + 1) % 5, labels["race"])
    return {
        "age": (labels["age"] + rng.normal(0, years, COUNT)).astype(np.float32)[:, None],
        "gender": gender.astype(np.float32)[:, None],
        "race": np.eye(5, dtype=np.float32)[race.astype(int)],
    }


def failures(verdict):
    return [reason.split(":")[0] for reason in verdict.reasons if "fails" in reason]


def test_the_same_answers_hold_with_a_reason_for_each_measure_and_two_for_its_groups(labels):
    verdict = judge(labels, answer(labels), answer(labels), against="v1")
    assert verdict.holds
    assert len(verdict.reasons) == 9
    assert all(reason.endswith("passes") for reason in verdict.reasons)
    assert sum("worst group (" in reason for reason in verdict.reasons) == 3
    assert sum("most significant loss of " in reason for reason in verdict.reasons) == 3


def test_a_better_candidate_holds(labels):
    better = answer(labels, 3, years=6.0, wrong=0.07)
    verdict = judge(labels, answer(labels), better, against="v1")
    assert verdict.holds
    assert "improvement +" in verdict.reasons[0]


def test_answers_to_shuffled_labels_fail_in_every_measure(labels):
    order = np.random.default_rng(4).permutation(COUNT)
    shuffled = {name: values[order] for name, values in answer(labels).items()}
    verdict = judge(labels, answer(labels), shuffled, against="v1")
    assert not verdict.holds
    assert {"age RMSE", "gender accuracy", "race accuracy"} <= set(failures(verdict))


def test_one_group_that_is_read_wrongly_fails_by_its_name_where_the_whole_hardly_moves(labels):
    group = np.flatnonzero((labels["race"] == 3) & (labels["age"] < 50))[:70]
    worse = answer(labels, flipped=group)
    # What is lost there is won elsewhere, so that the whole says nothing.
    elsewhere = np.flatnonzero(labels["race"] != 3)
    worse["gender"][elsewhere, 0] = labels["gender"][elsewhere]
    verdict = judge(labels, answer(labels), worse, against="v1")
    assert not verdict.holds
    for failed, look in zip(
        failures(verdict), ("worst group", "most significant loss"), strict=True
    ):
        assert failed.startswith(f"gender accuracy, {look}")
        assert "indian" in failed


def test_a_group_that_is_read_well_fails_before_it_is_the_worst(labels):
    old = answer(labels)
    males = labels["gender"] == 0
    badly, well = males & (labels["race"] == 4), males & (labels["race"] == 0)
    old["gender"][badly, 0] = np.arange(badly.sum()) % 2  # a coin's answers: the worst group
    old["gender"][well, 0] = 0
    new = {name: values.copy() for name, values in old.items()}
    new["gender"][np.flatnonzero(well)[:20], 0] = 1
    # What is lost there is won elsewhere, so that the whole says nothing.
    elsewhere = ~well & ~badly
    new["gender"][elsewhere, 0] = labels["gender"][elsewhere]
    verdict = judge(labels, old, new, against="v1")
    (failed,) = failures(verdict)
    assert re.fullmatch(
        r"gender accuracy, most significant loss of \d+ groups \(male, white\)", failed
    )
    assert not verdict.holds


def test_of_many_groups_one_may_lose_by_chance(labels):
    """Another network of the same quality: some group's own 95% lie beyond 0, all together not."""
    verdicts = [
        judge(labels, answer(labels, 10 + n), answer(labels, 50 + n), against="v1")
        for n in range(5)
    ]
    reasons = [
        reason for verdict in verdicts for reason in verdict.reasons if "most significant" in reason
    ]
    assert len(reasons) == 15
    assert all(reason.endswith("passes") for reason in reasons)


def test_a_small_loss_within_the_margin_holds_and_one_beyond_it_fails(labels):
    old = answer(labels)
    for lost, holds in ((6, True), (30, False)):
        new = {name: values.copy() for name, values in old.items()}
        right = np.flatnonzero(new["gender"][:, 0] == labels["gender"])
        spread = right[:: len(right) // lost][:lost]
        new["gender"][spread, 0] = 1 - labels["gender"][spread]
        verdict = judge(labels, old, new, against="v1")
        overall = next(one for one in verdict.reasons if one.startswith("gender accuracy:"))
        # Six of 1,200 are half a point, but always the same way: that is sure.
        assert ("significantly worse" in overall) == (lost == 6)
        assert ("worse by more than 0.01" in overall) == (lost == 30)
        assert verdict.holds is False
        assert holds == (lost == 6)


def test_images_too_few_to_tell_hold_nothing(labels):
    few = {name: np.where(np.arange(COUNT) < 9, values, np.nan) for name, values in labels.items()}
    verdict = judge(few, answer(labels), answer(labels), against="v1")
    assert not verdict.holds
    assert verdict.reasons[0] == "age RMSE: fails, 9 held-out images are too few to compare"


def test_without_a_large_group_the_whole_decides(labels):
    few = {name: values[:60] for name, values in labels.items()}
    outputs = {name: values[:60] for name, values in answer(labels).items()}
    verdict = judge(few, outputs, outputs, against="v1")
    assert verdict.holds
    assert verdict.reasons[1] == "age RMSE, groups: not compared, none has 100 held-out images"


def test_a_head_that_the_candidate_does_not_predict_is_not_judged(labels):
    outputs = {"age": answer(labels)["age"]}
    verdict = judge(labels, outputs, outputs, against="v1")
    assert all(reason.startswith("age") for reason in verdict.reasons)


def test_the_verdict_is_stated_as_the_row_keeps_it(labels):
    stated = judge(labels, answer(labels), answer(labels), against="v1").to_json()
    assert stated["holds"] is True
    assert stated["against"] == "v1"
    assert isinstance(stated["reasons"], list)
