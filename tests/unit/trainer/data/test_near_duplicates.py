"""An image is a twin where the training data holds it or one that looks alike."""

import numpy as np
import pytest

from facetag.errors import ShardUnreadable
from facetag.settings import Settings
from facetag.vision.difference_hash import difference_hash
from facetag_trainer.data.near_duplicates import find_twins
from tests.unit.trainer.chips import encode, make_chip, write_tar


def test_copies_and_look_alikes_are_found_and_others_are_not(tmp_path):
    known, other = make_chip(1), make_chip(40)
    brighter = np.clip(known.astype(int) + 12, 0, 255).astype(np.uint8)
    shards = [
        write_tar(tmp_path / "a.tar", [("20_0_1_x.jpg", encode(known)), ("bad.jpg", b"x")]),
        write_tar(tmp_path / "b.tar", [("20_0_1_y.jpg", b"no image")]),
    ]
    hashes = np.stack([difference_hash(photo) for photo in (known, other, brighter)])
    seen = []
    twins = find_twins(hashes, shards, Settings(), on_progress=seen.append)
    assert twins.tolist() == [True, False, True]
    assert sum(seen) == 1


def test_a_training_shard_without_a_usable_image_has_no_twins(tmp_path):
    shard = write_tar(tmp_path / "a.tar", [("20_0_1_y.jpg", b"no image")])
    hashes = difference_hash(make_chip(1))[None]
    assert find_twins(hashes, [shard], Settings()).tolist() == [False]


def test_a_shard_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ShardUnreadable, match="check the path"):
        find_twins(np.zeros((1, 32), np.uint8), [tmp_path / "none.tar"], Settings())
