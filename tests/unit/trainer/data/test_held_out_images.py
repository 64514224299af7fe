import numpy as np
import pytest

from facetag.heads import HELD_OUT_IMAGES
from facetag_trainer.data.held_out_images import (
    image_digests,
    join_records,
    read_held_out,
    record_held_out,
)
from facetag_trainer.data.splits import PART_SHARES, split_held_out


@pytest.fixture
def hashes():
    return np.random.default_rng(1).integers(0, 256, (60, 32), np.uint8)


def test_the_record_says_the_part_of_each_image_that_is_held_out(hashes):
    held_out = np.arange(60) % 2 == 0
    record = record_held_out(hashes, held_out)
    assert set(record) == set(PART_SHARES)
    parts = read_held_out({HELD_OUT_IMAGES: record})
    shown = image_digests(hashes[held_out])
    assert [parts[digest] for digest in shown] == split_held_out(hashes[held_out]).tolist()
    assert parts.keys().isdisjoint(image_digests(hashes[~held_out]))


def test_the_order_of_the_images_does_not_change_the_record(hashes):
    held_out = np.arange(60) < 20
    turned = record_held_out(hashes[::-1], held_out[::-1])
    assert turned == record_held_out(hashes, held_out)


def test_records_of_two_rounds_are_joined(hashes):
    held_out = np.ones(30, bool)
    first, second = (record_held_out(some, held_out) for some in (hashes[:30], hashes[30:]))
    parts = read_held_out({HELD_OUT_IMAGES: join_records(first, second)})
    both = [read_held_out({HELD_OUT_IMAGES: one}) for one in (first, second)]
    assert parts == both[0] | both[1]
    assert len(parts) == 60


def test_a_bundle_without_a_record_says_nothing():
    assert read_held_out({}) is None
    assert read_held_out({HELD_OUT_IMAGES: {}}) == {}
