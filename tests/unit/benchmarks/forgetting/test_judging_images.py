"""Test shards that judge retrainings beside what the champion held out."""

import numpy as np
import pytest

from benchmarks.forgetting.domain_kinds import DIM
from benchmarks.forgetting.judging_images import (
    add_tests,
    compare_losses,
    gather_judges,
    list_losses,
    read_tests,
)
from benchmarks.forgetting.new_domain import Collection, Domain, mislabel, write_images
from facetag.settings import Settings
from facetag_trainer.data.cache_preparation import PreparePlan
from facetag_trainer.data.shards import Sample
from tests.unit.trainer.chips import encode, waves
from tests.unit.trainer.tiny_caches import write_tiny_cache

BLACK, WHITE = 1.0, 0.0


@pytest.fixture
def collection(tmp_path):
    plan = PreparePlan(Settings(), size=32)
    cache = write_tiny_cache(tmp_path / "earlier", count=80, held_out=40)
    cache.facts["crop"] = plan.rule.to_json()
    return Collection([], cache, cache.validation, plan, tmp_path / "root")


@pytest.fixture
def tests(collection, tmp_path):
    """Six faces, of which four are of the domain that is dim."""
    samples = [
        Sample(
            f"{number}.jpg",
            encode(waves(np.random.default_rng(number), 64)),
            {"age": 30.0 + number, "gender": 0.0, "race": BLACK if number < 4 else WHITE},
        )
        for number in range(6)
    ]
    written = write_images(tmp_path / "tests.tar", mislabel(samples, "right"), Settings())
    return read_tests([written.path], collection)


def test_earlier_images_that_judge_are_joined_by_test_images_as_they_are(collection, tests):
    alone = gather_judges(collection.cache, None)
    judges = gather_judges(collection.cache, tests)
    assert 0 < len(alone.crops) < 40
    assert len(judges.crops) == len(alone.crops) + 6
    assert sorted(judges.labels["age"][-6:]) == [30, 31, 32, 33, 34, 35]
    assert read_tests([], collection) is None


def test_faces_of_a_domain_judge_it_spoiled_and_are_counted_once_each(collection, tests):
    rest = collection.cache
    places = np.arange(len(rest.validation))
    domain = Domain("dim", rest, rest, rest, places, np.zeros(80, bool), np.zeros(80, bool))
    judged = add_tests(domain, DIM, tests, draws=2)
    added = slice(len(places), None)
    assert sorted(set(judged.photo[added])) == [80, 81, 82, 83]
    assert judged.unseen[added].all()
    assert list(judged.rest.labels["age"]) == list(judged.rest_clean.labels["age"][judged.photo])
    clean = np.array([judged.rest_clean.crops[place] for place in judged.photo[added]], float)
    poor = np.array([judged.rest.crops[80 + place] for place in range(len(clean))], float)
    assert poor.mean() < clean.mean() - 20
    assert add_tests(domain, DIM, None) is domain


def test_a_loss_is_held_against_its_bound():
    labels = {"age": np.full(40, 30.0), "gender": np.ones(40), "race": np.ones(40)}
    labels["gender"][-1] = np.nan
    right = {
        "age": np.full((40, 1), 31.0),
        "gender": np.full((40, 1), 0.9),
        "race": np.tile([0.1, 0.9], (40, 1)),
    }
    wrong = {**right, "age": right["age"] + 0.5, "gender": right["gender"].copy()}
    wrong["gender"][:2] = 0.1
    bounds = {"age": 0.5, "gender": 0.05, "race": 0.0}
    losses = compare_losses(labels, wrong, right, bounds)
    assert losses["gender"]["lost"] == pytest.approx(2 / 39)
    assert [one["within"] for one in losses.values()] == [True, False, True]
    assert [line.rsplit(": ")[-1] for line in list_losses(losses)] == [
        "HOLDS",
        "DOES NOT HOLD",
        "HOLDS",
    ]
    better = compare_losses(labels, right, wrong, bounds)
    assert better["age"]["lost"] == pytest.approx(-0.5)
