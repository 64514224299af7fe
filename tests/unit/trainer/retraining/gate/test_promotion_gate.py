"""Candidates made worse on purpose, and ones that are not."""

import re

import numpy as np
import pytest

from facetag_trainer.retraining.gate.paired_comparison import Judged
from facetag_trainer.retraining.gate.promotion_gate import GAIN, NO_GAIN, judge

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


def decide(labels, old, new, *, against):
    """Judge on earlier images alone."""
    return judge([Judged("earlier", labels, old, new)], against=against)


def failures(verdict):
    return [reason.split(":")[0] for reason in verdict.reasons if "fails" in reason]


def test_the_same_answers_hold_with_a_reason_for_each_measure_and_two_for_its_groups(labels):
    verdict = decide(labels, answer(labels), answer(labels), against="v1")
    assert verdict.holds
    assert len(verdict.reasons) == 9
    assert all(reason.endswith("passes") for reason in verdict.reasons)
    assert sum("worst group (" in reason for reason in verdict.reasons) == 3
    assert sum("most significant loss of " in reason for reason in verdict.reasons) == 3
    # Nothing is neither more nor less: no zero has a minus.
    assert "-0.000" not in " ".join(verdict.reasons)


def test_a_better_candidate_holds(labels):
    better = answer(labels, 3, years=6.0, wrong=0.07)
    verdict = decide(labels, answer(labels), better, against="v1")
    assert verdict.holds
    assert "improvement +" in verdict.reasons[0]


def test_answers_to_shuffled_labels_fail_in_every_measure(labels):
    order = np.random.default_rng(4).permutation(COUNT)
    shuffled = {name: values[order] for name, values in answer(labels).items()}
    verdict = decide(labels, answer(labels), shuffled, against="v1")
    assert not verdict.holds
    assert {"age RMSE", "gender accuracy", "race accuracy"} <= set(failures(verdict))


def test_one_group_that_is_read_wrongly_fails_by_its_name_where_the_whole_hardly_moves(labels):
    group = np.flatnonzero((labels["race"] == 3) & (labels["age"] < 50))[:70]
    worse = answer(labels, flipped=group)
    # What is lost there is won elsewhere, so that the whole says nothing.
    elsewhere = np.flatnonzero(labels["race"] != 3)
    worse["gender"][elsewhere, 0] = labels["gender"][elsewhere]
    verdict = decide(labels, answer(labels), worse, against="v1")
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
    verdict = decide(labels, old, new, against="v1")
    (failed,) = failures(verdict)
    assert re.fullmatch(
        r"gender accuracy, most significant loss of \d+ groups \(male, white\)", failed
    )
    assert not verdict.holds


def test_of_many_groups_one_may_lose_by_chance(labels):
    """Another network of the same quality: some group's own 95% lie beyond 0, all together not."""
    verdicts = [
        decide(labels, answer(labels, 10 + n), answer(labels, 50 + n), against="v1")
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
        verdict = decide(labels, old, new, against="v1")
        overall = next(one for one in verdict.reasons if one.startswith("gender accuracy:"))
        # Six of 1,200 are half a point, but always the same way: that is sure.
        assert ("significantly worse" in overall) == (lost == 6)
        assert ("worse by more than 0.01" in overall) == (lost == 30)
        assert verdict.holds is False
        assert holds == (lost == 6)


def test_images_too_few_to_tell_hold_nothing(labels):
    few = {name: np.where(np.arange(COUNT) < 9, values, np.nan) for name, values in labels.items()}
    verdict = decide(few, answer(labels), answer(labels), against="v1")
    assert not verdict.holds
    assert verdict.reasons[0] == "age RMSE: fails, 9 held-out images are too few to compare"
    assert verdict.table == []


def test_without_a_large_group_the_whole_decides(labels):
    few = {name: values[:60] for name, values in labels.items()}
    outputs = {name: values[:60] for name, values in answer(labels).items()}
    verdict = decide(few, outputs, outputs, against="v1")
    assert verdict.holds
    assert verdict.notes[0] == "age RMSE, groups: not compared, none has 100 held-out images"


def both_kinds(labels, *, earlier, new):
    """The earlier and the new images, with a champion and a candidate of these errors each."""
    old = answer(labels, 20, years=8.0, wrong=0.2)
    return [
        Judged("earlier", labels, answer(labels), earlier),
        Judged("new", labels, old, new),
    ]


def lose_years(outputs, labels, times):
    """The same answers with age errors that many times as large."""
    ages = labels["age"][:, None]
    return {**outputs, "age": ages + (outputs["age"] - ages) * np.float32(times)}


@pytest.mark.parametrize(
    ("serves", "earlier", "new", "holds"),
    [
        # 7 years of RMSE become 7.35 on earlier images: more than 0.2, less than 0.5.
        ("both", 1.05, 0.8, False),
        ("earlier", 1.05, 0.8, False),
        ("new", 1.05, 0.8, True),
        ("new", 1.1, 0.8, False),
        # On the new images 8 years become 8.32.
        ("both", 1.0, 1.04, False),
        ("earlier", 1.0, 1.04, True),
        ("new", 1.0, 1.04, False),
        ("earlier", 1.0, 1.1, False),
        # Nothing is better there.
        ("both", 1.0, 1.0, True),
        ("new", 1.0, 1.0, False),
    ],
)
def test_what_is_served_decides_where_how_much_may_be_lost(labels, serves, earlier, new, holds):
    old = answer(labels, 20, years=8.0, wrong=0.2)
    judged = both_kinds(
        labels,
        earlier=lose_years(answer(labels), labels, earlier),
        new=lose_years(old, labels, new),
    )
    verdict = judge(judged, against="v1", serves=serves)
    assert verdict.holds is holds, verdict.reasons
    assert (GAIN in verdict.notes) == (serves == "new" and new < 1)
    assert (NO_GAIN in verdict.notes) == (serves == "new" and new >= 1)


def test_the_table_has_both_kinds_of_images_and_their_groups_with_intervals(labels):
    same = answer(labels)
    verdict = judge(both_kinds(labels, earlier=same, new=same), against="v1")
    rows = [(row["data"], row["measure"], row["chosen_as"] is None) for row in verdict.table]
    assert len(rows) == 18
    assert rows[:3] == [
        ("earlier", "age RMSE", True),
        ("earlier", "age RMSE", False),
        ("earlier", "age RMSE", False),
    ]
    assert rows[9][0] == "new"
    assert verdict.table[9]["improvement"] > 0
    assert all(
        low <= row["improvement"] <= high
        for row in verdict.table
        for low, high in [row["interval"]]
    )
    assert verdict.to_json()["for"] == "both"


def test_new_images_that_are_too_few_are_not_compared_but_prove_no_gain(labels):
    few, same = {name: values[:9] for name, values in labels.items()}, answer(labels)
    some = {name: values[:9] for name, values in same.items()}
    judged = [Judged("earlier", labels, same, same), Judged("new", few, some, some)]
    verdict = judge(judged, against="v1")
    assert verdict.holds
    assert "age RMSE on the new images: not compared, 9 held-out images" in verdict.notes[0]
    assert not judge(judged, against="v1", serves="new").holds


def test_a_head_that_the_candidate_does_not_predict_is_not_judged(labels):
    outputs = {"age": answer(labels)["age"]}
    verdict = decide(labels, outputs, outputs, against="v1")
    assert all(reason.startswith("age") for reason in verdict.reasons)


def test_the_verdict_is_stated_as_the_row_keeps_it(labels):
    stated = decide(labels, answer(labels), answer(labels), against="v1").to_json()
    assert stated["holds"] is True
    assert stated["against"] == "v1"
    assert isinstance(stated["reasons"], list)
