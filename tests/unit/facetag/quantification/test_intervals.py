import numpy as np
import pytest

from facetag.quantification.groupings import GROUPINGS
from facetag.quantification.held_out_answers import Answers, HeldOut
from facetag.quantification.intervals import bootstrap_shares
from tests.unit.facetag.quantification.conftest import draw_faces


def width(drawn, photos, held_out):
    (shares,) = bootstrap_shares(drawn.answers, photos, held_out, GROUPINGS[:1], rounds=60)
    low, high = shares.interval()
    assert (low <= shares.estimated).all()
    assert (shares.estimated <= high).all()
    return (high - low)[0]


def test_faces_of_one_photo_are_not_taken_for_independent(held_out):
    drawn = draw_faces(300, seed=2)
    # In every photo ten faces of one gender.
    order = np.argsort(drawn.codes["gender"], kind="stable")
    drawn = drawn.take(order)
    alone = width(drawn, np.arange(300), held_out)
    together = width(drawn, np.arange(300) // 10, held_out)
    assert together > 1.5 * alone


def test_intervals_hold_the_true_share_nearly_always_and_say_something(held_out):
    few = held_out.take(np.arange(600))
    known = HeldOut(Answers(few.answers.female, None, None), {"gender": few.codes["gender"]})
    held, widths = 0, []
    for seed in range(20):
        drawn = draw_faces(300, seed=50 + seed, female=0.2)
        (shares,) = bootstrap_shares(drawn.answers, np.arange(300), known, GROUPINGS[:1], rounds=40)
        low, high = shares.interval()[:, 1]
        held += low <= drawn.codes["gender"].mean() <= high
        widths.append(high - low)
    assert held >= 18
    assert np.mean(widths) < 0.15


def test_the_bias_of_a_crossing_is_taken_out(held_out):
    grouping = GROUPINGS[4]
    before, after = [], []
    for seed in range(6):
        # "other" is the rarest race, and often taken for white.
        drawn = draw_faces(400, seed=80 + seed, female=0.3, races=(0.1, 0.2, 0.2, 0.1, 0.4))
        truth = np.bincount(grouping.codes(drawn.codes), minlength=10) / 400
        (shares,) = bootstrap_shares(drawn.answers, np.arange(400), held_out, [grouping], rounds=30)
        before.append(np.abs(shares.counted - truth).mean())
        after.append(np.abs(shares.estimated - truth).mean())
        assert shares.estimated.sum() == pytest.approx(1)
    assert np.mean(after) < 0.6 * np.mean(before)


@pytest.mark.parametrize("faces", [1, 2])
def test_one_face_tells_nearly_nothing(held_out, faces):
    drawn = draw_faces(faces, seed=3)
    for shares in bootstrap_shares(
        drawn.answers, np.zeros(faces, int), held_out, GROUPINGS, rounds=10
    ):
        low, high = shares.interval()
        assert np.isfinite([low, high]).all()
        assert (high - low).max() > 0.5


def test_groups_that_no_held_out_face_shows_are_estimated_all_the_same(held_out):
    adults = held_out.take(np.flatnonzero(held_out.codes["age"] > 0))
    drawn = draw_faces(200, seed=4)
    for shares in bootstrap_shares(drawn.answers, np.arange(200), adults, GROUPINGS, rounds=10):
        assert np.isfinite(shares.interval()).all()
        assert shares.estimated.sum() == pytest.approx(1)
