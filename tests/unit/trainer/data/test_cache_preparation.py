"""From shards to a cache: cleaned, split, and made once for the same shards."""

import shutil

import numpy as np
import pytest

from facetag.errors import ShardUnreadable
from facetag.settings import Settings
from facetag_trainer.data.cache_preparation import PreparePlan, prepare_cache
from tests.unit.trainer.chips import chip_members, encode, make_chip, waves, write_tar

PLAN = PreparePlan(Settings(), size=32, validation_share=0.5)


def test_bad_copied_and_undecodable_images_are_dropped_and_counted(tmp_path):
    (name, chip), *others = chip_members(4)
    jpeg_2000 = encode(make_chip(9), "JPEG2000")
    path = write_tar(
        tmp_path / "shard.tar",
        [
            (name, chip),
            *others,
            (f"copies/{name}", chip),
            ("bad.jpg", chip),
            ("20_0_0_text.jpg", b"no image"),
            ("20_0_0_empty.jpg", b""),
            ("20_0_0_cut.jpg", encode(make_chip(8), "JPEG")[:2000]),
            ("20_0_0_jp2.jpg", jpeg_2000),
        ],
    )
    totals = []
    cache = prepare_cache(
        [path], tmp_path / "cache", PLAN, on_progress=lambda _, total: totals.append(total)
    )
    assert set(totals) == {4} == {cache.facts["n"]}
    assert cache.facts["dropped"] == {
        "malformed name": 1,
        "identical image": 1,
        "undecodable image": 4,
    }
    assert cache.labels["age"].tolist() == [18, 19, 20, 21]


def test_the_same_shards_are_prepared_once(tmp_path, chips_tar):
    started = []
    first = prepare_cache(
        [chips_tar], tmp_path, PLAN, on_progress=lambda *told: started.append(told)
    )
    again = prepare_cache(
        [chips_tar], tmp_path, PLAN, on_progress=lambda *told: started.append(told)
    )
    assert started == [(0, 12), (12, 12)]
    assert np.array_equal(first.crops, again.crops)
    moved = shutil.copy(chips_tar, tmp_path / "other-name.tar")
    prepare_cache([moved], tmp_path, PLAN, on_progress=lambda *told: started.append(told))
    assert started == [(0, 12), (12, 12)]


def test_an_unfinished_cache_is_made_anew(tmp_path, chips_tar):
    prepare_cache([chips_tar], tmp_path, PLAN)
    (folder,) = tmp_path.iterdir()
    (folder / "cache.json").unlink()
    started = []
    prepare_cache([chips_tar], tmp_path, PLAN, on_progress=lambda *told: started.append(told))
    assert started == [(0, 12), (12, 12)]


def test_shards_of_one_name_in_two_folders_are_two_shards(tmp_path):
    paths = []
    for index, folder in enumerate(["one", "two"]):
        (tmp_path / folder).mkdir()
        paths.append(write_tar(tmp_path / folder / "part.tar", chip_members(3, first=3 * index)))
    both = prepare_cache(paths, tmp_path / "cache", PLAN)
    second = prepare_cache(paths[1:], tmp_path / "cache", PLAN)
    assert both.facts["n"] == 6
    assert second.facts["n"] == 3
    assert list(both.facts["shards"]) == ["part.tar", "part.tar (2)"]
    assert list(both.facts["shards"].values())[1] == second.facts["shards"]["part.tar"]


def test_look_alikes_are_held_out_together(tmp_path):
    rng = np.random.default_rng(0)
    members = []
    for index in range(8):
        photo = waves(rng, 120)
        members += [
            (f"2{index}_0_0_a.jpg", encode(photo)),
            (f"2{index}_0_0_b.jpg", encode(photo[2:-2, 2:-2])),
        ]
    cache = prepare_cache([write_tar(tmp_path / "s.tar", members)], tmp_path / "cache", PLAN)
    assert np.array_equal(cache.validation[::2], cache.validation[1::2])
    assert 0 < cache.validation.sum() < 16


def test_a_shard_without_anything_usable_is_refused(tmp_path):
    path = write_tar(tmp_path / "shard.tar", [("20_0_0_x.jpg", b"text"), ("x.jpg", b"text")])
    with pytest.raises(ShardUnreadable, match="no usable image"):
        prepare_cache([path], tmp_path / "cache", PLAN)


def test_a_missing_shard_is_refused_by_its_path(tmp_path):
    with pytest.raises(ShardUnreadable, match=r"nowhere\.tar"):
        prepare_cache([tmp_path / "nowhere.tar"], tmp_path / "cache", PLAN)
