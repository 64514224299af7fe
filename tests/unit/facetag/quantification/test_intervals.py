import numpy as np

from facetag.quantification.groupings import GROUPINGS
from facetag.quantification.held_out import Answers, HeldOut
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


def test_intervals_hold_the_true_share_nearly_always(held_out):
    few = held_out.take(np.arange(600))
    known = HeldOut(Answers(few.answers.female, None, None), {"gender": few.codes["gender"]})
    held = 0
    for seed in range(20):
        drawn = draw_faces(300, seed=50 + seed, female=0.2)
        (shares,) = bootstrap_shares(drawn.answers, np.arange(300), known, GROUPINGS[:1], rounds=60)
        low, high = shares.interval()[:, 1]
        held += low <= drawn.codes["gender"].mean() <= high
    assert held >= 17
