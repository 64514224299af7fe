"""The champion fitted further, with and without what it has learnt before."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from facetag.vision.bundle import open_bundle, save_manifest
from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.data.splits import image_digests, read_held_out, split_held_out
from facetag_trainer.fit.distillation import ANSWERS, read_answers
from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.loop import make_feeder
from facetag_trainer.fit.training_run import TrainingPlan, train_network
from facetag_trainer.retraining.candidate import (
    RetrainingPlan,
    add_round,
    find_judges,
    judge_candidate,
    list_rounds,
    retrain_network,
    state_verdict,
)
from facetag_trainer.retraining.gate import label_check
from facetag_trainer.retraining.material.joined_images import gather_material
from facetag_trainer.retraining.outputs.output_cache import OutputCache
from facetag_trainer.retraining.weight_interpolation import POINTS, find_validation
from tests.unit.trainer.tiny_caches import write_tiny_cache

pytestmark = pytest.mark.timeout(600)
SPEC = NetworkSpec(backbone="tiny", input_size=32, hidden_units=8)
OPTIONS = {"epochs": 1, "batch_size": 8}


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    return write_tiny_cache(tmp_path_factory.mktemp("a") / "cache", count=120, held_out=60)


@pytest.fixture(scope="module")
def champion(tmp_path_factory, earlier):
    fit = FitPlan(epochs=1, batch_size=8, frozen_layers=0, averaging=0.0)
    folder = tmp_path_factory.mktemp("champion")
    bundle = train_network(TrainingPlan(SPEC, fit), earlier, folder)
    save_manifest(bundle.folder, {**bundle.manifest, "mirror": {"race": 0.5}})
    return open_bundle(bundle.folder)


@pytest.fixture(scope="module")
def new(tmp_path_factory):
    cache = write_tiny_cache(tmp_path_factory.mktemp("b") / "cache", seed=3)
    return replace(
        cache, facts={**cache.facts, "shards": {"new.tar": "cd" * 32}, "domain": "press"}
    )


@pytest.fixture(scope="module")
def retrained(champion, new, earlier, tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    return retrain_network(champion, new, [earlier], RetrainingPlan(0.5, options=OPTIONS), run)


def test_the_champion_teaches_and_the_weights_lie_between_its_own_and_the_fitted_ones(
    retrained, champion
):
    fitted = open_bundle(retrained.folder.parent / "bundle")
    assert fitted.manifest["training"]["teachers"] == [champion.version]
    share = retrained.manifest["line"]["share"]
    assert share in POINTS
    start, end, mean = (
        one.load_network().get_layer("gender_hidden").get_weights()[0]
        for one in (champion, fitted, retrained)
    )
    assert not np.array_equal(start, end)
    np.testing.assert_allclose(mean, (1 - share) * start + share * end, atol=2e-3)


def test_each_image_that_is_shown_has_the_champions_answer_to_it(
    retrained, champion, new, earlier, tmp_path
):
    material = gather_material(new, [earlier], 0.5, seed=1)
    fitting, first = material.fitting, material.as_they_are
    training = np.flatnonzero(~fitting.validation)
    answers = read_answers(retrained.folder.parent / ANSWERS, fitting, SPEC.heads)
    # Replayed images: to the view that is fitted on.
    plan = RetrainingPlan(0.5, options=OPTIONS).fit_plan(48, len(training) - 48, "tiny")
    feeder = make_feeder(fitting, SPEC, plan, spread=~material.is_new, transfer=material.transfer)
    batches = list(feeder.epoch(0))
    shown = np.concatenate([batch.indices for batch in batches])
    views = np.concatenate([batch.images for batch in batches])[np.isin(shown, training[:first])]
    shown = shown[np.isin(shown, training[:first])]
    assert len(shown) > first // 2
    output_cache = OutputCache(tmp_path)
    read = output_cache.read_shown(champion, [views.astype(np.uint8)], len(views))
    for name, values in champion.calibration.apply(read).items():
        np.testing.assert_allclose(answers[name][shown], values, atol=1e-3)
    # Others: to the image as it is.
    others = np.isin(np.arange(len(fitting.validation)), training[first:])
    plain = output_cache.read(champion, fitting, others)
    for name, values in champion.calibration.apply(plain).items():
        np.testing.assert_allclose(answers[name][others], values, atol=1e-3)


def test_the_candidate_keeps_the_champions_batch_norms(retrained, champion):
    before, after = (
        one.load_network().get_layer("tiny").get_layer(index=2).get_weights()
        for one in (champion, retrained)
    )
    assert len(before) == 4
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


def test_figures_are_given_by_domain_before_and_after_with_the_ranges_coverage(retrained, new):
    domains = retrained.manifest["domains"]
    assert list(domains) == ["part", "press"]
    holdout = split_held_out(new.hashes[new.validation]) == "holdout"
    assert domains["press"]["n"] == holdout.sum() > 0
    for row in domains.values():
        assert row["before"]["age"]["rmse"] != row["after"]["age"]["rmse"]
        assert 0 <= row["before"]["age"]["coverage"] <= 1
    card = (retrained.folder / "card.md").read_text()
    assert "| press | " in card.split("## By domain")[1]


def test_what_comes_of_it_names_its_parent_and_all_shards_of_its_line(retrained, champion):
    manifest = retrained.manifest
    assert manifest["parent"] == champion.version
    assert manifest["shards"] == [
        {"name": "part.tar", "sha256": "ab" * 32},
        {"name": "new.tar", "sha256": "cd" * 32, "round": 1, "domain": "press"},
    ]
    # A small round is replayed whole.
    restyled = manifest["replay"]["in_new_style"]
    assert manifest["replay"] == {"share": 0.5, "images": 60 + restyled, "in_new_style": restyled}
    assert manifest["samples"]["training"] == 60 + restyled + 48
    assert "new.tar" in (retrained.folder / "card.md").read_text()


def test_what_comes_of_it_says_which_images_of_its_line_are_held_out(retrained, new, earlier):
    held_out = [cache.hashes[cache.validation] for cache in (earlier, new)]
    assert set(read_held_out(retrained.manifest)) == set(image_digests(np.concatenate(held_out)))


def test_it_reads_faces_with_their_mirror_images_as_its_parent_does(retrained):
    assert retrained.mirror.below == {"race": 0.5}


def test_a_finished_run_gives_the_same_bundle_again(retrained, champion, new, earlier):
    steps = []
    again = retrain_network(
        champion,
        new,
        [earlier],
        RetrainingPlan(0.5, options=OPTIONS),
        retrained.folder.parent,
        on_step=steps.append,
    )
    assert steps == []
    assert again.manifest == retrained.manifest


def test_without_replay_no_earlier_image_is_fitted_on(champion, new, earlier, tmp_path):
    fitted = set()
    retrain_network(
        champion,
        new,
        [earlier],
        RetrainingPlan(0.0, options=OPTIONS),
        tmp_path,
        on_step=lambda progress: fitted.update(progress.samples.tolist()),
    )
    # The earlier cache comes first, with the part alone that validates.
    assert min(fitted) >= len(find_validation(earlier)) > 0


def test_a_short_fit_remembers_and_warms_up_over_few_steps_and_options_win():
    short = RetrainingPlan(options={"epochs": 2}).fit_plan(320, 0, "tiny")
    assert (short.warm_up_steps, short.averaging) == (2, 0.75)
    spread = RetrainingPlan(options={"epochs": 2}).fit_plan(160, 320, "tiny")
    assert (spread.warm_up_steps, spread.averaging) == (2, 0.75)
    long = RetrainingPlan().fit_plan(200_000, 0, "inceptionv3")
    assert (long.warm_up_steps, long.averaging) == (300, 0.998)
    assert long.frozen_layers == 52
    assert long.frozen_norms
    assert (long.keep, long.mixup, long.label_smoothing) == ("last", 0, 0)
    given = RetrainingPlan(options={"averaging": 0.5, "seed": 7}).fit_plan(320, 0, "tiny")
    assert (given.averaging, given.seed) == (0.5, 7)


def test_fewer_epochs_take_larger_steps_up_to_a_bound_unless_a_rate_is_given():
    plans = [RetrainingPlan(options={"epochs": epochs}) for epochs in (1, 2, 4, 8)]
    rates = [plan.fit_plan(320, 0, "tiny").learning_rate for plan in plans]
    assert rates == pytest.approx([1.8e-4, 1.8e-4, 9e-5, 4.5e-5])
    given = RetrainingPlan(options={"epochs": 2, "learning_rate": 0.01})
    assert given.fit_plan(320, 0, "tiny").learning_rate == 0.01


def test_the_champion_holds_against_itself_on_what_chose_no_weights(champion, earlier):
    verdict = judge_candidate(champion, champion, earlier, [earlier])
    assert 0 < find_judges(earlier).sum() < earlier.validation.sum()
    assert {row["data"] for row in verdict.table} == {"earlier", "new"}
    assert verdict.holds, verdict.reasons
    assert verdict.against == champion.version


def test_the_card_of_a_candidate_says_what_it_serves_and_what_changed(retrained, champion, earlier):
    verdict = judge_candidate(champion, retrained, earlier, [earlier], serves="new")
    stated = state_verdict(retrained, verdict)
    assert stated.manifest["comparison"]["for"] == "new"
    assert stated.version == retrained.version
    card = (stated.folder / "card.md").read_text()
    assert "photos like its new ones; on others a bounded loss was allowed" in card
    assert "| new | age RMSE |" in card


def test_the_comparison_reads_nothing_that_the_retraining_has_read(retrained, champion, new):
    read = []
    judge_candidate(champion, retrained, new, [new], on_read=lambda *count: read.append(count))
    assert read == []


def test_judging_counts_all_that_it_reads_as_one_work(retrained, champion, new, earlier, tmp_path):
    copy = open_bundle(shutil.copytree(retrained.folder, tmp_path / "run" / "chosen"))
    read = []
    judge_candidate(champion, copy, new, [earlier], on_read=lambda *count: read.append(count))
    # Both read what is held out; the champion reads all new images.
    total = 2 * int(earlier.validation.sum()) + int(new.validation.sum()) + len(new.validation)
    assert {one[1] for one in read} == {total}
    assert [one[0] for one in read] == sorted({one[0] for one in read})
    assert read[-1] == (total, total)


def test_the_estimate_is_told_once_and_before_anything_is_fitted(champion, new, earlier, tmp_path):
    told = []

    def fit(run):
        told.clear()
        retrain_network(
            champion,
            new,
            [earlier],
            RetrainingPlan(0.5, options={**OPTIONS, "epochs": 2}),
            run,
            on_step=lambda progress: told.append("step"),
            on_estimate=lambda seconds: told.append("estimate"),
        )

    fit(tmp_path)
    assert told[0] == "estimate"
    assert set(told[1:]) == {"step"}
    # As after a kill: the estimate comes before what is left.
    shutil.rmtree(tmp_path / "chosen")
    shutil.rmtree(tmp_path / "bundle")
    fit(tmp_path)
    assert told == ["estimate"]


def test_without_an_earlier_round_there_is_no_verdict(champion, retrained):
    assert judge_candidate(champion, retrained, earlier, []) is None


def test_a_candidate_of_wrong_labels_is_refused_by_name(champion, earlier, tmp_path):
    ages = np.full(len(earlier.validation), 90, np.float32)
    wrong = replace(earlier, labels={**earlier.labels, "age": ages})
    options = {"epochs": 12, "batch_size": 8, "learning_rate": 0.02}
    worse = retrain_network(champion, wrong, [], RetrainingPlan(0.0, options=options), tmp_path)
    verdict = judge_candidate(champion, worse, wrong, [earlier])
    assert not verdict.holds
    assert any(reason.startswith("age RMSE:") and "fails" in reason for reason in verdict.reasons)


def test_a_candidate_that_holds_is_refused_for_labels_that_the_champion_does_not_believe(
    champion, new, earlier, monkeypatch, tmp_path
):
    monkeypatch.setattr(label_check, "SMALLEST", 10)
    # As the champion reads all of them, and the opposite for the new ones.
    read, unread = (
        np.round(OutputCache(tmp_path).read(champion, cache)["gender"][:, 0])
        for cache in (earlier, new)
    )
    agreed = replace(earlier, labels={**earlier.labels, "gender": read})
    flipped = replace(new, labels={**new.labels, "gender": 1 - unread})
    verdict = judge_candidate(champion, champion, flipped, [agreed])
    assert not verdict.holds
    (reason,) = [reason for reason in verdict.notes if "fails" in reason]
    assert reason.startswith("gender accuracy of the champion on the new labels")


def test_rounds_are_numbered_from_those_before_and_listed_in_order():
    shards = add_round([{"name": "a", "sha256": "1"}, {"name": "b", "sha256": "2"}], {"c": "3"})
    shards = add_round(shards, {"d": "4", "e": "5"})
    assert list_rounds(shards) == [{"1": "a", "2": "b"}, {"3": "c"}, {"4": "d", "5": "e"}]
    assert list_rounds(add_round([], {"a": "1"})) == [{"1": "a"}]
