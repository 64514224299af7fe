"""Copies, copies whose labels disagree, bad names, and files that are no images."""

import random

import numpy as np

from facetag.settings import Settings
from facetag.vision.difference_hash import difference_hash
from facetag_trainer.data.clean_set import clean, drop_undecodable
from facetag_trainer.data.shard_index import hash_sample
from facetag_trainer.data.shards import BadSample, Drop, Sample
from tests.unit.trainer.chips import encode, make_chip


def sample(name, data, **labels):
    return Sample(name, data, labels)


def hash_image(sample):
    return hash_sample(sample, Settings())


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


def test_what_is_left_out_is_told_with_its_twin():
    kept = clean(
        [
            sample("a", b"1", age=3),
            sample("b", b"2", age=3),
            sample("c", b"1", age=3),
            sample("d", b"2", age=4),
        ]
    )
    assert kept.left_out == [
        BadSample("c", Drop.COPY, "the same image as a"),
        BadSample("b", Drop.DISAGREEING, "the same image as d"),
        BadSample("d", Drop.DISAGREEING, "the same image as b"),
    ]


def test_bad_samples_are_counted_by_kind_and_go():
    kept = clean(
        [
            BadSample("z", Drop.BAD_LABELS, "why"),
            BadSample("x", Drop.MALFORMED_NAME, "why"),
            sample("a", b"1", age=3),
            BadSample("y", Drop.MALFORMED_NAME, "why"),
        ]
    )
    assert len(kept.samples) == 1
    assert list(kept.dropped.items()) == [
        ("malformed name", 2),
        ("labels missing or out of range", 1),
    ]


def test_a_clean_set_has_dropped_nothing():
    samples = [sample(str(index), bytes([index]), age=index) for index in range(20)]
    random.Random(0).shuffle(samples)
    kept = clean(samples)
    assert kept.samples == samples
    assert not kept.dropped
    assert clean([]).samples == []


def test_what_does_not_decode_goes_and_the_rest_is_hashed():
    samples = [
        sample("a", encode(make_chip(1)), age=3),
        sample("b", b"no image", age=3),
        sample("c", b"", age=3),
        sample("d", encode(make_chip(2)), age=3),
    ]
    done = []
    cleaned = clean([BadSample("z", Drop.BAD_LABELS, "why"), *samples])
    kept, hashes = drop_undecodable(cleaned, hash_image, on_progress=done.append)
    assert [each.name for each in kept.samples] == ["a", "d"]
    assert kept.dropped == {"labels missing or out of range": 1, "undecodable image": 2}
    assert kept.left_out[2] == BadSample("c", Drop.UNDECODABLE, "The file is empty.")
    assert np.array_equal(hashes[1], difference_hash(make_chip(2)))
    assert hashes.shape == (2, 32)
    assert done == [1, 2, 3, 4]


def test_where_nothing_decodes_there_are_no_hashes():
    _, hashes = drop_undecodable(clean([sample("b", b"no image", age=3)]), hash_image)
    assert hashes.shape == (0, 32)
