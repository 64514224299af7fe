from dataclasses import replace

import numpy as np
import pytest

from facetag.settings import Settings
from facetag_trainer.data.cache_preparation import PreparePlan, prepare_cache
from facetag_trainer.data.shard_index import index_shards
from facetag_trainer.retraining.training_round import (
    Round,
    cut_round,
    examine_shards,
    examine_tests,
    find_round_cache,
    order_parts,
    read_round,
    to_hashes,
)
from tests.unit.trainer.chips import encode, waves, write_tar

PLAN = PreparePlan(Settings(), size=75, validation_share=0.3)
NOTHING = to_hashes([])


def image(seed):
    return encode(waves(np.random.default_rng(seed), 48))


def write_shard(path, seeds):
    return write_tar(path, [(f"{20 + s % 50}_{s % 2}_{s % 5}_{s:04}.jpg", image(s)) for s in seeds])


@pytest.fixture
def shards(tmp_path):
    paths = [
        write_shard(tmp_path / "one.tar", range(12)),
        write_shard(tmp_path / "two.tar", range(10, 24)),
    ]
    return index_shards(paths, PLAN.settings)


def test_a_round_holds_each_image_once_with_its_part_and_its_shard(shards):
    examined = examine_shards(shards, PLAN, known=NOTHING)
    assert len(examined.round.parts) == len(examined.samples) == 24
    assert list(examined.round.shards.values()) == ["one.tar", "two.tar"]
    assert examined.round.domain == "one"
    assert examine_shards(shards, PLAN, known=NOTHING, domain="press").round.domain == "press"
    assert examined.dropped == {"identical image": 2}
    assert 0 < sum(part != "training" for part in examined.round.parts.values()) < 24
    rows = {row.sha256: row for row in examined.ledger_images()}
    first, second = (shard.sha256 for shard in shards)
    for sample in examined.samples[:12]:
        assert rows[sample.sha256].shard == first
    assert rows[examined.samples[20].sha256].shard == second
    assert all(len(row.difference_hash) == 32 for row in rows.values())


def test_near_twins_of_known_images_are_left_out_and_counted(shards):
    known = examine_shards(shards[:1], PLAN, known=NOTHING).hashes.copy()
    # A few bits apart: a twin, not a copy.
    known[:, 0] ^= 0b111
    examined = examine_shards(shards[1:], PLAN, known=known)
    assert examined.dropped == {"near twin of a known image": 2}
    assert len(examined.samples) == 12


def test_images_that_are_to_be_left_out_are_counted_apart_from_twins(shards):
    examined = examine_shards(shards, PLAN, known=NOTHING)
    forbidden = {examined.samples[3].sha256}
    without = examine_shards(shards, PLAN, known=examined.hashes[3:5], left_out=forbidden)
    assert without.dropped["image of a test set or a holdout"] == 1
    assert without.dropped["near twin of a known image"] == 1
    assert forbidden.isdisjoint(without.round.parts)


def test_of_a_test_set_every_image_is_protected(shards):
    tests = examine_tests(shards)
    assert set(tests.round.parts.values()) == {"test"}
    assert len(tests.round.parts) == len(tests.hashes) == 24


def test_the_cache_of_a_round_is_found_again_and_follows_its_parts(shards, tmp_path):
    examined = examine_shards(shards, PLAN, known=NOTHING)
    assert find_round_cache(examined.round, tmp_path / "cache", PLAN) is None
    cache = cut_round(examined.round, examined.samples, examined.hashes, tmp_path / "cache", PLAN)
    parts = list(examined.round.parts.values())
    assert list(cache.validation) == [part != "training" for part in parts]
    assert cache.facts["shards"] == {shard.name: shard.sha256 for shard in shards}
    found = find_round_cache(examined.round, tmp_path / "cache", PLAN)
    assert np.array_equal(found.hashes, cache.hashes)


def test_a_recorded_round_is_read_again_from_its_shards_in_their_order(shards, tmp_path):
    examined = examine_shards(shards, PLAN, known=NOTHING)
    # As a database gives it: in no order, and without one image.
    items = sorted(examined.round.parts.items())[1:]
    recorded = Round(examined.round.shards, dict(items), "one")
    samples, hashes = read_round(recorded, shards)
    assert len(samples) == len(hashes) == 23
    ordered = order_parts(recorded, samples)
    assert list(ordered.parts) == [sample.sha256 for sample in samples]
    assert ordered.parts == recorded.parts


def test_of_a_small_round_more_is_held_out_to_compare_on_but_not_all(shards):
    plan = replace(PLAN, validation_share=0.05)
    usual, more, most = (
        examine_shards(shards, plan, known=NOTHING, hold_out_at_least=count).round.parts
        for count in (0, 4, 20)
    )

    def held_out(parts):
        return {digest for digest, part in parts.items() if part != "training"}

    assert held_out(usual) <= held_out(more) <= held_out(most)
    assert held_out(most) == held_out(examine_shards(shards, PLAN, known=NOTHING).round.parts)
    assert len(held_out(usual)) < len(held_out(most))


def test_the_cache_of_train_serves_a_round_of_the_same_images_alone(shards, tmp_path):
    made = prepare_cache([shard.path for shard in shards], tmp_path / "cache", PLAN)
    examined = examine_shards(shards, PLAN, known=NOTHING)
    found = find_round_cache(examined.round, tmp_path / "cache", PLAN)
    assert np.array_equal(found.hashes, made.hashes)
    assert list(found.validation) == [part != "training" for part in examined.round.parts.values()]
    fewer = examine_shards(shards, PLAN, known=examined.hashes[:1])
    assert find_round_cache(fewer.round, tmp_path / "cache", PLAN) is None
