"""The lines of networks that the measurement of forgetting compares."""

import numpy as np
import pytest

from benchmarks.forgetting.rounds import (
    FORGETTING,
    JOINT,
    REPLAYED,
    Rounds,
    compare,
    draw_forgetting,
    fit_lines,
    to_table,
)
from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.retraining.material.replay import keep_some
from tests.unit.trainer.tiny_caches import write_tiny_cache

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def rounds(tmp_path_factory):
    cache = write_tiny_cache(tmp_path_factory.mktemp("cache") / "cache", count=90, held_out=30)
    shards = {"a.tar": "aa" * 32, "b.tar": "bb" * 32}
    cache.facts["shards"] = shards
    number = np.arange(90) % 2
    cache.labels["race"][:] = number
    judged = keep_some(cache, cache.validation)
    return Rounds(cache, number, list(shards), judged, number[cache.validation])


@pytest.fixture(scope="module")
def lines(rounds, tmp_path_factory):
    spec = NetworkSpec(backbone="tiny", input_size=32, hidden_units=8)
    options = {"epochs": 2, "batch_size": 8, "frozen_layers": 0}
    return fit_lines(rounds, spec, None, options, 1.0, tmp_path_factory.mktemp("run"))


def test_a_round_holds_its_own_images_under_its_own_shard(rounds):
    part = rounds.take(1)
    assert len(part.crops) == 45
    assert part.facts["shards"] == {"b.tar": "bb" * 32}
    assert set(part.labels["race"]) == {1}


def test_every_line_counts_what_it_was_fitted_on(lines):
    # 30 training images a round, 2 epochs; replay shows the 30 of the first round once.
    assert [images for images, _ in lines[FORGETTING]] == [60, 60 + 60]
    assert [images for images, _ in lines[REPLAYED]] == [60, 60 + 60 + 30]
    assert [images for images, _ in lines[JOINT]] == [120]


def test_lines_begin_with_the_same_network_and_differ_after_it(lines):
    (first, second), (same, other) = (lines[name] for name in (REPLAYED, FORGETTING))
    np.testing.assert_array_equal(first[1]["age"], same[1]["age"])
    assert not np.array_equal(second[1]["age"], other[1]["age"])


def test_the_joint_fit_is_what_lines_are_held_against(rounds, lines):
    found = compare(rounds, {**lines, REPLAYED: [lines[REPLAYED][0], lines[JOINT][0]]})
    assert found["against_joint"][REPLAYED]["race"] == {"value": 0.0, "interval": (0.0, 0.0)}
    assert found["lines"][JOINT][0]["first"].keys() == {"age", "gender", "race"}
    assert found["judged"] == 30


def test_the_table_and_the_picture_have_every_network(rounds, lines):
    found = {**compare(rounds, lines), "machine": "here, today"}
    table = to_table(found)
    assert table.count("with replay, round") == 2
    assert "| joint | 120 |" in table
    figure = draw_forgetting(found)
    assert len(figure.axes) == 6
