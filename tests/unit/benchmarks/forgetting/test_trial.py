"""The trial of one retraining on photos that the champion reads badly, made small."""

import numpy as np
import pytest

from benchmarks.forgetting.__main__ import (
    AFTER,
    BEFORE,
    CLEAN,
    measure,
    to_text,
    try_retraining,
)
from benchmarks.forgetting.domain_kinds import LOOKS, POOR, spoil
from benchmarks.forgetting.judging_images import gather_judges
from benchmarks.forgetting.new_domain import Domain, choose_images, mislabel
from facetag.settings import Settings
from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.data.shards import Sample
from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.training_run import TrainingPlan, train_network
from facetag_trainer.retraining.candidate import RetrainingPlan
from tests.unit.trainer.chips import encode, waves
from tests.unit.trainer.tiny_caches import write_tiny_cache

pytestmark = pytest.mark.timeout(600)


def sample(seed, **labels):
    whole = {"age": 50.0, "gender": 0.0, "race": 2.0, **labels}
    return Sample(f"{seed}.jpg", encode(waves(np.random.default_rng(seed), 64)), whole)


def test_the_domain_is_two_groups_over_20_and_what_the_champion_held_out_judges():
    samples = [sample(n) for n in range(6)]
    samples += [sample(6, age=20.0), sample(7, race=0.0), sample(8, race=3.0)]
    learnt, judging = choose_images(samples, np.isin(np.arange(9), [0, 1, 6, 7]), 3, POOR)
    assert len(learnt) == 3
    assert set(learnt) < {2, 3, 4, 5, 8}
    assert sorted(judging) == [0, 1]


@pytest.mark.parametrize("kind", LOOKS, ids=lambda kind: kind.name)
def test_a_photo_is_always_spoiled_in_the_same_way(kind):
    one = sample(1)
    first, again = (spoil(one, Settings(), kind) for _ in range(2))
    assert first.data == again.data != one.data
    assert first.labels == one.labels
    other = spoil(one, Settings(), kind, draw=1)
    assert (other.name, other.labels) == ("1-1.jpg", one.labels)
    drawn = kind.printed is None or kind.printed.dots > 0
    assert (other.data != first.data) == drawn


def test_wrong_labels_are_wrong_in_the_way_that_is_asked_for():
    samples = [sample(1), sample(2, race=3.0, age=60.0)]

    def read(way):
        return [dict(one.labels) for one in mislabel(samples, way)]

    right = read("right")
    assert right == [dict(one.labels) for one in samples]
    assert [one["age"] for one in read("shifted")] == [65.0, 75.0]
    assert [one["gender"] for one in read("flipped")] == [1.0, 0.0]
    assert sorted(one["age"] for one in read("shuffled")) == [50.0, 60.0]


def test_intervals_are_over_photos_however_often_each_is_spoiled(tmp_path):
    rest = write_tiny_cache(tmp_path / "rest", count=60)
    rest.labels["race"][:] = 1
    right = rest.labels["gender"][:, None]

    def answer(wrong):
        """Answer wrongly for these photos, with a probability of 0.8."""
        gender = np.where(np.isin(np.arange(60) % 20, wrong)[:, None], 1 - right, right)
        whole = {"age": rest.labels["age"][:, None] + 1, "race": np.eye(5)[[1] * 60]}
        return {**whole, "gender": 0.2 + 0.6 * gender}

    answers = {CLEAN: answer([]), BEFORE: answer(range(8)), AFTER: answer(range(2))}

    def state(photo):
        domain = Domain("poor", rest, rest, rest, photo, np.ones(60, bool), np.zeros(60, bool))
        return measure(domain, answers, np.ones(60, bool))

    thrice, once = state(np.arange(60) % 20), state(np.arange(60))
    assert (thrice["n"], thrice["images"]) == (20, 60)
    row = thrice["gender"]
    assert (row["gain"], row["won_back"]) == pytest.approx((0.3, 0.75))
    assert thrice["gender log loss"]["won_back"] == pytest.approx(0.75)
    assert "won_back" in thrice["age"]

    def width(found):
        low, high = found["gender"]["interval"]
        return high - low

    assert width(thrice) > 1.4 * width(once)


def test_a_small_trial_gives_all_figures_and_a_verdict(tmp_path):
    earlier = write_tiny_cache(tmp_path / "earlier", count=80, held_out=40)
    new = write_tiny_cache(tmp_path / "new", held_out=30, seed=3)
    rest = write_tiny_cache(tmp_path / "rest", seed=4)
    for name, cache in (("new.tar", new), ("rest.tar", rest)):
        cache.facts["shards"] = {name: name[:2] * 32}
    for head in ("race", "gender"):
        rest.labels[head][:] = 1
    spec = NetworkSpec(backbone="tiny", input_size=32, hidden_units=8)
    fit = FitPlan(epochs=1, batch_size=8, frozen_layers=0, averaging=0.0)
    champion = train_network(TrainingPlan(spec, fit), earlier, tmp_path / "champion")
    domain = Domain("poor", new, rest, rest, np.arange(60), np.arange(60) < 20, np.zeros(80, bool))
    plan = RetrainingPlan(1.0, options={"epochs": 1, "batch_size": 8})
    told = []
    judges = gather_judges(earlier, None)
    found = try_retraining(
        champion, earlier, domain, judges, plan, tmp_path / "run", on_say=told.append
    )
    assert (found["rest"]["n"], found["unseen"]["n"]) == (60, 20)
    assert found["images"]["earlier"] == len(judges.crops) < 40
    # The rest is the same before it was corrupted, so nothing was lost.
    assert found["rest"]["age"]["lost"] == 0
    assert set(found["coverage"]) == {"before", "after"}
    assert {row["data"] for row in found["verdict"]["table"]} == {"earlier", "new"}
    text = to_text({**found, "machine": "here", "labels": "right"})
    assert "nothing was lost" in text
    assert "For both: " in text
    assert told
