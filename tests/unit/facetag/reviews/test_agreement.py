import random

import pytest

from facetag.reviews.agreement import clustered_share, cohen_kappa, wilson


def test_kappa_is_that_of_scikit_learn():
    from sklearn.metrics import cohen_kappa_score

    draw = random.Random(3)
    labels = ["white", "black", "asian"]
    for noise in (0.1, 0.5, 0.9):
        one = [draw.choice(labels) for _ in range(60)]
        other = [draw.choice(labels) if draw.random() < noise else label for label in one]
        expected = cohen_kappa_score(one, other)
        assert cohen_kappa(list(zip(one, other, strict=True))) == pytest.approx(expected)


def test_kappa_is_not_defined_where_chance_alone_agrees_fully():
    assert cohen_kappa([]) is None
    assert cohen_kappa([("male", "male")] * 4) is None


def test_wilson_gives_the_published_interval():
    # Newcombe 1998, table I: 15 of 148.
    low, high = wilson(15 / 148, 148)
    assert (round(low, 4), round(high, 4)) == (0.0624, 0.1605)


def test_faces_of_one_photo_make_a_share_less_sure_than_faces_of_many():
    many = [(1, 1), (0, 1)] * 20
    few = [(4, 4), (0, 4)] * 5
    share, apart = clustered_share(many)
    same, together = clustered_share(few)
    assert share == same == 0.5
    assert together[0] < apart[0] < 0.5 < apart[1] < together[1]
    assert clustered_share([]) == (0.0, (0.0, 1.0))


def test_the_interval_holds_the_true_share_of_grouped_faces():
    draw = random.Random(5)
    held = 0
    for _ in range(300):
        photos = []
        for _ in range(60):
            chance = draw.choice((0.1, 0.5))
            photos.append((sum(draw.random() < chance for _ in range(4)), 4))
        low, high = clustered_share(photos)[1]
        held += low <= 0.3 <= high
    assert 0.92 <= held / 300 <= 0.985
