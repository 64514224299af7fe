"""What is fitted on one part of the held-out images holds on others, and is written once."""

import json

import numpy as np
import pytest

from facetag.errors import FacetagError
from facetag.settings import Settings
from facetag.vision.bundle import open_bundle, save_manifest
from facetag.vision.crop import BoxCrop
from facetag.vision.network.calibration import AgeLine, Calibration
from facetag_trainer.calibration.bundle_calibration import (
    FEWEST_FOR_LINE,
    MIRRORINGS,
    calibrate_bundle,
    calibrate_outputs,
    find_cache,
    fit_age_line,
    fit_temperature,
    predict_held_out_crops,
)
from facetag_trainer.data.splits import CALIBRATION, PART_SHARES, split_held_out
from tests.unit.trainer.tiny_caches import write_tiny_cache

HELD_OUT = 1200
NEVER, ALWAYS = MIRRORINGS["never"], MIRRORINGS["always"]


def overconfident(count, seed, factor=2.0):
    """Labels drawn from probabilities whose logits the outputs state `factor` times too large."""
    rng = np.random.default_rng(seed)
    gender, race = rng.normal(0, 1.5, (count, 1)), rng.normal(0, 1.5, (count, 5))
    labels = {
        "age": rng.integers(5, 80, count),
        "gender": rng.random(count) < 1 / (1 + np.exp(-gender[:, 0])),
        "race": (race + rng.gumbel(size=(count, 5))).argmax(axis=1),
    }
    raised = np.exp(factor * race)
    outputs = {
        "age": labels["age"][:, None] + rng.normal(0, 6, (count, 1)),
        "gender": 1 / (1 + np.exp(-factor * gender)),
        "race": raised / raised.sum(axis=1, keepdims=True),
    }
    return tuple(
        {name: np.asarray(values, np.float32) for name, values in each.items()}
        for each in (labels, outputs)
    )


@pytest.fixture
def held_out(tmp_path):
    labels, outputs = overconfident(HELD_OUT, 0)
    return write_tiny_cache(
        tmp_path / "many", count=HELD_OUT, held_out=HELD_OUT, labels=labels
    ), outputs


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.5])
def test_the_temperature_is_what_the_logits_were_multiplied_by(factor):
    labels, outputs = overconfident(20000, 1, factor)
    for head in ("gender", "race"):
        found = fit_temperature(head, labels[head], outputs[head])
        assert found == pytest.approx(factor, rel=0.06)


def test_unknown_labels_have_no_part_in_a_temperature():
    labels, outputs = overconfident(4000, 1)
    labels["race"][::2] = np.nan
    half = fit_temperature("race", labels["race"][1::2], outputs["race"][1::2])
    assert fit_temperature("race", labels["race"], outputs["race"]) == half
    assert fit_temperature("race", np.float32([np.nan, 1]), outputs["race"][:2]) == 1.0


def drawn_together(count, seed, *, offset=12.0, slope=0.7, noise=7.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(1, 90, count).astype(np.float32)
    ages = offset + slope * labels + rng.normal(0, noise, count)
    return labels, ages.astype(np.float32)


def test_the_line_makes_ages_of_others_better():
    line = fit_age_line(*drawn_together(900, 1))
    labels, ages = drawn_together(5000, 2)
    before, after = (np.sqrt(np.mean((found - labels) ** 2)) for found in (ages, line.apply(ages)))
    assert line.slope > 1
    assert after < 0.97 * before


def test_unknown_ages_have_no_part_in_the_line():
    labels, ages = drawn_together(2000, 1)
    labels[::2] = np.nan
    assert fit_age_line(labels, ages) == fit_age_line(labels[1::2], ages[1::2])


@pytest.mark.parametrize(
    "held_out",
    [
        drawn_together(FEWEST_FOR_LINE - 1, 1),
        (np.full(500, np.nan, np.float32), np.ones(500, np.float32)),
        (drawn_together(500, 1)[0], np.full(500, 30, np.float32)),
        (drawn_together(500, 1)[0], -drawn_together(500, 1)[1]),
    ],
    ids=["few", "unknown", "all the same", "upside down"],
)
def test_ages_stay_where_no_line_is_sure(held_out):
    assert fit_age_line(*held_out) == AgeLine()


def test_ages_that_are_right_stay_as_they_are():
    rng = np.random.default_rng(5)
    ages = rng.uniform(10, 80, 1000).astype(np.float32)
    labels = (ages + rng.normal(0, 7, 1000)).astype(np.float32)
    assert fit_age_line(labels, ages) == AgeLine()


def test_the_range_is_about_the_ages_that_results_state(held_out):
    cache, outputs = held_out
    plain = calibrate_outputs(cache, outputs)
    squeezed = {**outputs, "age": 10 + outputs["age"] / 2}
    fields = calibrate_outputs(cache, squeezed)
    assert fields["calibration"]["age_line"]["slope"] == pytest.approx(2, rel=0.1)
    assert fields["metrics"]["holdout"]["age"]["rmse"] == pytest.approx(
        plain["metrics"]["holdout"]["age"]["rmse"], rel=0.05
    )
    assert fields["metrics"]["holdout"]["age"]["coverage"] == pytest.approx(0.8, abs=0.07)


def test_calibration_holds_on_the_holdout(held_out):
    cache, outputs = held_out
    fields = calibrate_outputs(cache, outputs)
    assert fields["calibration"]["temperatures"]["gender"] == pytest.approx(2, rel=0.2)
    assert fields["calibration"]["temperatures"]["race"] == pytest.approx(2, rel=0.2)
    holdout = fields["metrics"]["holdout"]
    # 300 images in 15 bins: chance alone makes for some hundredths.
    assert holdout["race"]["ece"] < 0.07
    assert holdout["age"]["coverage"] == pytest.approx(0.8, abs=0.07)
    assert sum(fields["held_out"].values()) == HELD_OUT
    assert set(fields["held_out"]) == set(PART_SHARES)


def test_only_the_calibration_part_decides_temperatures(held_out):
    cache, outputs = held_out
    before = calibrate_outputs(cache, outputs)["calibration"]["temperatures"]
    inside = split_held_out(cache.hashes) == CALIBRATION
    assert (
        before["race"]
        != calibrate_outputs(cache, _sharpened(outputs, inside))["calibration"]["temperatures"][
            "race"
        ]
    )
    assert (
        before
        == calibrate_outputs(cache, _sharpened(outputs, ~inside))["calibration"]["temperatures"]
    )


def _sharpened(outputs, rows):
    changed = {name: values.copy() for name, values in outputs.items()}
    for name, values in Calibration({"gender": 0.3, "race": 0.3}).apply(outputs).items():
        changed[name][rows] = values[rows]
    return changed


def test_uncertain_labels_are_wronger_than_others_and_both_are_counted(held_out):
    cache, outputs = held_out
    for counted in calibrate_outputs(cache, outputs)["calibration"]["uncertain"].values():
        assert 0 < counted["share"] < 1
        assert counted["accuracy"] < counted["accuracy_of_others"]


def fitting_bundle(tiny_bundle, cache):
    facts = {"shards": [{"name": "part.tar", "sha256": "ab" * 32}], "metrics": {"test": {"old": 1}}}
    save_manifest(tiny_bundle.folder, {**tiny_bundle.manifest, **facts})
    return open_bundle(tiny_bundle.folder)


def test_a_bundle_is_calibrated_once_and_keeps_its_weights_and_version(tiny_bundle, tiny_cache):
    bundle = fitting_bundle(tiny_bundle, tiny_cache)
    found = calibrate_bundle(bundle, tiny_cache)
    assert found.version == bundle.version
    found.load_network()
    assert found.manifest == json.loads((bundle.folder / "bundle.json").read_text())
    assert set(found.calibration.temperatures) == {"gender", "race"}
    # Figures on the test shard were another calibration's.
    assert "test" not in found.manifest["metrics"]
    measured = {**found.manifest, "metrics": {**found.manifest["metrics"], "test": {"new": 1}}}
    save_manifest(found.folder, measured)
    assert calibrate_bundle(open_bundle(found.folder), tiny_cache).manifest == measured


def test_mirroring_is_written_measured_and_kept(tiny_bundle, tiny_cache):
    bundle = fitting_bundle(tiny_bundle, tiny_cache)
    assert calibrate_bundle(bundle, tiny_cache).mirror == NEVER
    mirrored = calibrate_bundle(bundle, tiny_cache, mirror=ALWAYS)
    assert open_bundle(bundle.folder).mirror == ALWAYS
    assert calibrate_bundle(mirrored, tiny_cache).manifest == mirrored.manifest
    assert calibrate_bundle(mirrored, tiny_cache, mirror=NEVER).mirror == NEVER
    one, other = (
        predict_held_out_crops(bundle, tiny_cache, mirror=mirror)["age"]
        for mirror in (NEVER, ALWAYS)
    )
    assert one.shape == other.shape == (12, 1)
    assert not np.allclose(one, other, atol=1e-5)


def test_a_cache_is_found_by_the_shards_that_a_bundle_names(tiny_bundle, tiny_cache, tmp_path):
    bundle = fitting_bundle(tiny_bundle, tiny_cache)
    assert find_cache(tmp_path, bundle, Settings()).facts == tiny_cache.facts
    shards = [{"name": "other.tar", "sha256": "cd" * 32}]
    save_manifest(bundle.folder, {**bundle.manifest, "shards": shards})
    with pytest.raises(FacetagError, match="give these shards"):
        find_cache(tmp_path, open_bundle(bundle.folder), Settings())


def test_a_cache_that_another_detector_cut_is_passed_over(
    tiny_bundle, tiny_cache, tmp_path, monkeypatch
):
    bundle = fitting_bundle(tiny_bundle, tiny_cache)
    monkeypatch.setattr("facetag.vision.mtcnn.boxes.BOXES", 0)
    with pytest.raises(FacetagError, match="give these shards"):
        find_cache(tmp_path, bundle, Settings())


def test_crops_of_another_rule_are_refused(tiny_bundle, tiny_cache):
    other = {**tiny_bundle.manifest, "crop": BoxCrop().to_json()}
    save_manifest(tiny_bundle.folder, other)
    with pytest.raises(FacetagError, match="another crop rule or size"):
        calibrate_bundle(open_bundle(tiny_bundle.folder), tiny_cache)
