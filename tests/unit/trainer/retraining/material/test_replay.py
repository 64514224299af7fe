from dataclasses import replace

import numpy as np
import pytest

from facetag_trainer.retraining.material import replay
from facetag_trainer.retraining.material.replay import (
    JoinedCrops,
    choose_replay,
    count_replay,
    join_caches,
    keep_some,
)
from tests.unit.trainer.tiny_caches import write_tiny_cache


@pytest.fixture
def two(tmp_path, monkeypatch):
    monkeypatch.setattr(replay, "FEWEST", 0)
    return [
        write_tiny_cache(tmp_path / name, count=count, held_out=held_out, seed=seed)
        for name, count, held_out, seed in (("a", 30, 6, 1), ("b", 20, 4, 2))
    ]


def everything(cache):
    return np.arange(len(cache.validation))


def test_a_small_round_is_replayed_whole_and_a_large_one_by_its_share():
    assert [count_replay(count, 0.3) for count in (0, 200, 900, 2000)] == [0, 200, 300, 600]
    assert count_replay(2000, 0) == 0
    assert count_replay(2000, 1) == 2000


def test_replay_is_a_share_of_the_training_images_and_all_that_is_held_out(two):
    chosen = choose_replay(two[0], 0.5, seed=1)
    assert len(chosen) == 12 + 6
    assert set(np.flatnonzero(two[0].validation)) <= set(chosen)
    assert list(chosen) == sorted(set(chosen))


def test_without_replay_only_what_is_held_out_remains(two):
    assert two[0].validation[choose_replay(two[0], 0, seed=1)].all()


def test_the_seed_chooses_which_images_come_again(two):
    first, again, other = (choose_replay(two[0], 0.5, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_joined_caches_hold_each_chosen_image_with_what_belongs_to_it(two):
    places = [np.array([7, 2, 29]), np.array([19, 0])]
    joined = join_caches(list(zip(two, places, strict=True)))
    wanted = [(two[0], 7), (two[0], 2), (two[0], 29), (two[1], 19), (two[1], 0)]
    assert len(joined.crops) == len(joined.validation) == 5
    for index, (cache, place) in enumerate(wanted):
        assert np.array_equal(joined.crops[index], cache.crops[place])
        assert np.array_equal(joined.hashes[index], cache.hashes[place])
        assert joined.labels["age"][index] == cache.labels["age"][place]
        assert joined.validation[index] == cache.validation[place]
    assert joined.size == two[0].size


def test_shards_of_one_name_are_told_apart(two):
    other = replace(two[1], facts={**two[1].facts, "shards": {"part.tar": "cd" * 32}})
    joined = join_caches([(cache, everything(cache)) for cache in (two[0], other, two[0])])
    assert list(joined.facts["shards"]) == ["part.tar", "part.tar (2)"]


def test_a_place_past_the_end_is_none(two):
    crops = JoinedCrops([(two[0].crops, np.array([1]))])
    assert crops.shape == (1, *two[0].crops.shape[1:])
    with pytest.raises(IndexError):
        crops[1]


def test_of_what_is_held_out_a_part_is_kept_alone(two):
    keep = np.isin(np.arange(30), [0, 3])
    kept = keep_some(two[0], keep)
    assert kept.validation.all()
    assert np.array_equal(kept.labels["age"], two[0].labels["age"][[0, 3]])
