"""What teachers add to targets, and how they are asked."""

from dataclasses import replace

import numpy as np
import pytest

from facetag.errors import FacetagError
from facetag.vision.bundle import Bundle
from facetag.vision.bundle_writer import write_bundle
from facetag.vision.crop import BoxCrop, UprightCrop
from facetag.vision.network.attributes import build_network
from facetag.vision.network.calibration import mean_reading
from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.data.augmentation import Jitter, centre_crop
from facetag_trainer.data.crop_cache import in_fold
from facetag_trainer.data.splits import Fold
from facetag_trainer.fit.batches import Feeder
from facetag_trainer.fit.distillation import Lessons, ask_teachers, read_answers
from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.loop import make_feeder
from facetag_trainer.fit.mixup import Softening
from facetag_trainer.fit.training_run import TrainingPlan, train_network
from tests.unit.trainer.tiny_caches import write_tiny_cache

HEADS = ("age", "gender", "race")
pytestmark = pytest.mark.timeout(300)


def answers_of(count):
    return {
        "age": np.full((count, 1), 50, np.float32),
        "gender": np.full((count, 1), 0.5, np.float32),
        "race": np.tile(np.float32([0.6, 0.4, 0, 0, 0]), (count, 1)),
    }


def test_a_target_is_label_and_answer_by_their_shares():
    targets = {"age": np.float32([20]), "gender": np.float32([1]), "race": np.float32([2])}
    weights = {name: np.float32([1]) for name in HEADS}
    taught, weighed = Lessons(answers_of(3), 0.25).teach(targets, weights, np.array([1]))
    assert taught["age"] == pytest.approx([27.5])
    assert taught["gender"] == pytest.approx([0.875])
    assert taught["race"][0] == pytest.approx([0.15, 0.1, 0.75, 0, 0])
    assert weighed == weights


def test_where_the_label_is_missing_the_answer_stands_with_its_share_as_weight():
    targets = {name: np.float32([0]) for name in HEADS}
    weights = {name: np.float32([0]) for name in HEADS}
    taught, weighed = Lessons(answers_of(1), 0.25).teach(targets, weights, np.array([0]))
    assert taught["age"] == [50]
    assert taught["race"][0] == pytest.approx([0.6, 0.4, 0, 0, 0])
    assert all(weight == [0.25] for weight in weighed.values())


def test_taught_targets_are_smoothed_and_mixed_as_labels_are(tiny_cache):
    lessons = Lessons(answers_of(60), 1.0)
    feeder = Feeder(
        tiny_cache, HEADS, 8, 1, Jitter(), lessons=lessons, softening=Softening(0.1, 0.2)
    )
    batch = next(iter(feeder.epoch(0)))
    assert batch.targets["age"] == pytest.approx(np.full(8, 50))
    assert batch.targets["race"] == pytest.approx(np.tile([0.56, 0.38, 0.02, 0.02, 0.02], (8, 1)))


def test_what_is_held_out_keeps_its_labels(tiny_cache):
    plan = FitPlan(batch_size=8, teacher_share=0.5)
    feeder = make_feeder(tiny_cache, NetworkSpec(), plan, Lessons(answers_of(60), 0.5))
    ages = np.concatenate([batch.targets["age"] for batch in feeder.held_out()])
    assert np.array_equal(ages, tiny_cache.labels["age"][tiny_cache.validation])


def test_answers_are_the_calibrated_mean_of_teachers_and_mirror_images(
    tiny_bundle, tiny_cache, tmp_path
):
    sharper = {**tiny_bundle.manifest, "calibration": {"temperatures": {"gender": 0.5}}}
    teachers = [tiny_bundle, Bundle(tiny_bundle.folder, sharper)]
    told: list = []
    answers = ask_teachers(
        teachers, tiny_cache, HEADS, tmp_path, on_progress=lambda *all_: told.append(all_)
    )
    assert told[-1] == (96, 96)
    network, place = tiny_bundle.load_network(), 20
    image = centre_crop(tiny_cache.crops[place], 32)[None].astype(np.float32)
    both = [network.predict_on_batch(each) for each in (image, image[:, :, ::-1])]
    plain = {name: mean_reading(name, both[0][name], both[1][name]) for name in HEADS}
    sharp = teachers[1].calibration.apply(plain)
    for name in HEADS:
        assert answers[name][place] == pytest.approx((plain[name] + sharp[name])[0] / 2, abs=1e-5)
        assert np.isnan(answers[name][tiny_cache.validation]).all()


def test_teachers_are_asked_once_a_run(tiny_bundle, tiny_cache, tmp_path):
    first = ask_teachers([tiny_bundle], tiny_cache, HEADS, tmp_path)
    again = ask_teachers([tiny_bundle], tiny_cache, HEADS, tmp_path, on_progress=pytest.fail)
    assert all(np.array_equal(first[name], again[name], equal_nan=True) for name in HEADS)


def test_a_teacher_of_another_size_sees_the_crop_at_its_own(tiny_cache, tmp_path):
    spec = NetworkSpec(backbone="tiny", input_size=48, hidden_units=8)
    facts = {"created": "2025-01-31"}
    teacher = write_bundle(tmp_path / "b", build_network(spec), spec, UprightCrop(), facts)
    answers = ask_teachers([teacher], tiny_cache, HEADS, tmp_path)
    assert np.isfinite(answers["age"][~tiny_cache.validation]).all()


def test_a_teacher_of_other_crops_or_heads_is_refused(tiny_bundle, tiny_cache, tmp_path):
    wider = {**tiny_bundle.manifest, "crop": BoxCrop().to_json()}
    with pytest.raises(FacetagError, match="another crop rule"):
        ask_teachers([Bundle(tiny_bundle.folder, wider)], tiny_cache, HEADS, tmp_path)
    fewer = {**tiny_bundle.manifest["network"], "heads": ["race"]}
    narrow = Bundle(tiny_bundle.folder, {**tiny_bundle.manifest, "network": fewer})
    with pytest.raises(FacetagError, match="does not predict age, gender"):
        ask_teachers([narrow], tiny_cache, HEADS, tmp_path)


def test_a_taught_fit_follows_its_teacher_and_names_it(tiny_bundle, tmp_path):
    # Labels say 20 years of everybody; the teacher, who is believed entirely, about 33.
    cache = write_tiny_cache(tmp_path / "cache", labels={"age": np.full(60, 20.0)})
    fit = FitPlan(
        epochs=6, batch_size=8, frozen_layers=0, learning_rate=0.02, mixup=0, averaging=0,
        warm_up_steps=2, weight_decay=0.0,
    )  # fmt: skip
    plan = TrainingPlan(spec=tiny_bundle.spec, fit=replace(fit, teacher_share=1.0))
    taught = train_network(replace(plan, teachers=(tiny_bundle,)), cache, tmp_path / "taught")
    plain = train_network(replace(plan, fit=fit), cache, tmp_path / "plain")
    images = np.stack([centre_crop(crop, 32) for crop in cache.crops[12:]]).astype(np.float32)
    teacher, one, other = (
        each.load_network().predict_on_batch(images)["age"] for each in (tiny_bundle, taught, plain)
    )
    assert np.abs(one - teacher).mean() < np.abs(other - teacher).mean()
    assert taught.manifest["training"]["teachers"] == [tiny_bundle.version]


def fold_teacher(folder, fold, cache, age):
    """Write a bundle fitted without a fold that says this age of everybody."""
    spec = NetworkSpec(backbone="tiny", input_size=32, hidden_units=8)
    network = build_network(spec)
    output = network.get_layer("age_scaled")
    output.set_weights([np.zeros((8, 1), np.float32), np.float32([age / 50])])
    shards = [{"name": name, "sha256": digest} for name, digest in cache.facts["shards"].items()]
    facts = {"created": "2025-01-31", "shards": shards, "training": {"fold": fold}}
    return write_bundle(folder, network, spec, UprightCrop(), facts)


def test_a_teacher_without_a_fold_answers_for_that_fold_alone(tiny_cache, tmp_path):
    teachers = [
        fold_teacher(tmp_path / "b1", "1/2", tiny_cache, 20),
        fold_teacher(tmp_path / "b2", "2/2", tiny_cache, 60),
    ]
    told: list = []
    answers = ask_teachers(
        teachers, tiny_cache, HEADS, tmp_path, on_progress=lambda *all_: told.append(all_)
    )
    for number, age in ((1, 20), (2, 60)):
        of_fold = answers["age"][in_fold(tiny_cache, Fold(number, 2))]
        assert len(of_fold) > 0
        assert of_fold == pytest.approx(age, abs=0.1)
    assert np.isnan(answers["age"][tiny_cache.validation]).all()
    assert told[-1] == (48, 48)


def test_a_teacher_of_all_images_answers_beside_those_of_folds(tiny_cache, tmp_path):
    teachers = [
        fold_teacher(tmp_path / "b1", "1/2", tiny_cache, 20),
        fold_teacher(tmp_path / "b2", None, tiny_cache, 60),
    ]
    ages = ask_teachers(teachers, tiny_cache, HEADS, tmp_path)["age"]
    first = in_fold(tiny_cache, Fold(1, 2))
    assert ages[first] == pytest.approx(40, abs=0.1)
    assert ages[~first & ~tiny_cache.validation] == pytest.approx(60, abs=0.1)


def test_a_fold_that_no_teacher_answers_for_is_a_fault(tiny_cache, tmp_path):
    alone = fold_teacher(tmp_path / "b1", "1/2", tiny_cache, 20)
    left = int(in_fold(tiny_cache, Fold(2, 2)).sum())
    with pytest.raises(FacetagError, match=f"for {left} training images: give the teachers of"):
        ask_teachers([alone], tiny_cache, HEADS, tmp_path)


def test_a_fold_of_other_shards_says_nothing_of_these(tiny_cache, tmp_path):
    teacher = fold_teacher(tmp_path / "b1", "1/2", tiny_cache, 20)
    other = replace(tiny_cache, facts={**tiny_cache.facts, "shards": {"part.tar": "cd" * 32}})
    with pytest.raises(FacetagError, match="left out a fold of other shards"):
        ask_teachers([teacher], other, HEADS, tmp_path)


def test_answers_of_another_run_stand_for_its_teachers(tiny_bundle, tiny_cache, tmp_path):
    asked = ask_teachers([tiny_bundle], tiny_cache, HEADS, tmp_path)
    answers = tmp_path / "answers.npz"
    fit = FitPlan(epochs=1, batch_size=8, frozen_layers=0, teacher_share=0.5)
    plan = TrainingPlan(spec=tiny_bundle.spec, fit=fit)
    given = train_network(replace(plan, answers=answers), tiny_cache, tmp_path / "given")
    taught = train_network(replace(plan, teachers=(tiny_bundle,)), tiny_cache, tmp_path / "taught")
    one, other = (each.load_network().get_weights() for each in (given, taught))
    assert all(np.allclose(*pair, atol=2e-3) for pair in zip(one, other, strict=True))
    assert len(given.manifest["training"]["answers"]) == 64
    assert given.manifest["training"]["teachers"] == []
    read = read_answers(answers, tiny_cache, HEADS)
    assert all(np.array_equal(asked[name], read[name], equal_nan=True) for name in HEADS)


def test_answers_about_other_images_are_refused(tiny_bundle, tiny_cache, tmp_path):
    ask_teachers([tiny_bundle], tiny_cache, HEADS, tmp_path)
    other = write_tiny_cache(tmp_path / "other", held_out=20)
    with pytest.raises(FacetagError, match="about other images"):
        read_answers(tmp_path / "answers.npz", other, HEADS)
    np.savez(tmp_path / "flat.npz", **{name: np.zeros(60, np.float32) for name in HEADS})
    with pytest.raises(FacetagError, match="about other images"):
        read_answers(tmp_path / "flat.npz", tiny_cache, HEADS)


@pytest.mark.parametrize("content", [b"", b"no archive", "another array", "a head alone"])
def test_a_file_that_holds_no_answers_is_refused(content, tiny_cache, tmp_path):
    path = tmp_path / "answers.npz"
    if content == "another array":
        with path.open("wb") as file:
            np.save(file, np.zeros((60, 1), np.float32))
    elif content == "a head alone":
        np.savez(path, age=np.zeros((60, 1), np.float32))
    else:
        path.write_bytes(content)
    with pytest.raises(FacetagError, match="holds no answers of teachers"):
        read_answers(path, tiny_cache, HEADS)


def test_a_bundle_fitted_without_a_fold_says_so(tiny_cache, tmp_path):
    fit = FitPlan(epochs=1, batch_size=8, frozen_layers=0)
    spec = NetworkSpec(backbone="tiny", input_size=32, hidden_units=8)
    plan = TrainingPlan(spec=spec, fit=fit, fold=Fold(1, 2))
    bundle = train_network(plan, tiny_cache, tmp_path / "run")
    left = int(in_fold(tiny_cache, Fold(1, 2)).sum())
    assert bundle.manifest["training"]["fold"] == "1/2"
    assert bundle.manifest["samples"]["training"] == 48 - left
    assert bundle.manifest["samples"]["validation"] == 12
