"""Copies, copies whose labels disagree, and bad names."""

import random

from trainer.cleaning import clean
from trainer.shards import BadSample, Sample


def sample(name, data, **labels):
    return Sample(name, data, labels)


def test_one_of_equal_copies_stays_and_the_order_is_kept():
    kept = clean([sample("a", b"1", age=3), sample("b", b"2", age=3), sample("c", b"1", age=3)])
    assert [each.name for each in kept.samples] == ["a", "b"]
    assert kept.dropped == {"identical image": 1}


def test_copies_whose_labels_disagree_all_go():
    kept = clean(
        [
            sample("a", b"1", age=3, gender=0),
            sample("b", b"2", age=3),
            sample("c", b"1", age=3, gender=1),
            sample("d", b"1", age=3, gender=0),
        ]
    )
    assert [each.name for each in kept.samples] == ["b"]
    assert kept.dropped == {"identical images whose labels disagree": 3}


def test_a_label_that_one_copy_lacks_is_a_disagreement():
    assert clean([sample("a", b"1", age=3), sample("b", b"1")]).samples == []


def test_bad_samples_are_counted_and_go():
    kept = clean([BadSample("x", "why"), sample("a", b"1", age=3), BadSample("y", "why")])
    assert len(kept.samples) == 1
    assert kept.dropped == {"malformed name or labels": 2}


def test_a_clean_set_has_dropped_nothing():
    samples = [sample(str(index), bytes([index]), age=index) for index in range(20)]
    random.Random(0).shuffle(samples)
    kept = clean(samples)
    assert kept.samples == samples
    assert not kept.dropped
    assert clean([]).samples == []
