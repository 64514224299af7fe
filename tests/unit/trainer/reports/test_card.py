"""The card says what was measured, on which terms, and what the labels are not."""

import re

import pytest

from facetag_trainer.reports.card import write_card
from facetag_trainer.reports.terms import NSFWJS_SHA256, UTKFACE_SHARDS

TABLE = {
    "n": 2259,
    "age": {"rmse": 7.3412, "mae": 5.2, "cs5": 0.61},
    "gender": {"accuracy": 0.9312, "f1": 0.93, "precision": 0.94, "recall": 0.92, "auc": None},
    "race": {"accuracy": 0.8412, "macro_f1": 0.77, "ece": 0.0213},
    "intervals": {"age": {"rmse": [7.01, 7.7]}, "gender": {"accuracy": None}},
    "worst_groups": {
        "race": {
            "measure": "accuracy",
            "group": "male, other",
            "n": 120,
            "value": 0.4213,
            "interval": [0.33, 0.51],
        }
    },
}
TWINLESS = {**TABLE, "n": 2154, "race": {"accuracy": 0.8399, "macro_f1": 0.76}}
CALIBRATED = {
    "calibration": {
        "temperatures": {"gender": 1.31},
        "uncertain_below": {"gender": 0.8},
        "age_line": {"offset": 0.0, "slope": 1.0},
        "fitted_on": 950,
        "uncertain": {"gender": {"share": 0.1, "accuracy": 0.7, "accuracy_of_others": 0.96}},
    },
    "age_range": {"coverage": 0.8},
    "held_out": {"validation": 480, "calibration": 950, "holdout": 470},
}
MANIFEST = {
    "version": "2025-01-31-abcdef01",
    "network": {"backbone": "inceptionv3", "input_size": 160},
    "shards": [{"name": "part-1.tar", "sha256": min(UTKFACE_SHARDS)}],
    "samples": {"training": 900, "validation": 100, "dropped": {"identical image": 3}},
    "weights_sha256": "22" * 32,
    "metrics": {"validation": {"age": {"rmse": 6.99}}},
    "training": {"starting_weights": {"file": "start.weights.h5", "sha256": NSFWJS_SHA256}},
}
MEASURED = {
    **MANIFEST,
    "metrics": {
        **MANIFEST["metrics"],
        "test": {
            "command": "facetag evaluate test.tar",
            "date": "2025-02-01",
            "machine": "Linux x86_64, CPU",
            "table": TABLE,
        },
    },
}


def starting_from(start):
    return write_card({**MEASURED, "training": {"starting_weights": start}})


def test_measures_stand_beside_the_papers():
    card = write_card(MEASURED)
    assert "| age: RMSE (years) | 7.34 | 7.01 to 7.70 | 8.70 | 6.99 |" in card
    assert "| gender: accuracy | 0.9312 | – | 0.9239 | – |" in card
    assert "| gender: AUC | – | – | 0.9783 | – |" in card
    assert "Output of `facetag evaluate test.tar` on 2025-02-01, for 2259 images" in card


def test_without_a_test_only_the_validation_is_shown():
    card = write_card(MANIFEST)
    assert "On the validation images, which chose the weights." in card
    assert "| age: RMSE (years) | 6.99 | – | 8.70 | – |" in card


def test_the_terms_of_data_and_starting_weights_are_stated():
    card = write_card(MEASURED)
    assert "UTKFace" in card
    assert "non-commercial research only" in card
    assert "nsfwjs" in card
    assert "The MIT License (MIT)" in card
    assert "Infinite Red" in card


def test_no_notice_is_given_for_weights_that_were_not_used():
    other = starting_from({"file": "other.weights.h5", "sha256": "33" * 32})
    assert "nsfwjs" not in other
    assert "other.weights.h5" in other
    assert "33" * 32 in other
    none = starting_from(None)
    assert "random weights" in none
    assert "nsfwjs" not in none


def test_labels_are_called_apparent_and_their_limits_are_named():
    card = write_card(MEASURED)
    assert "**apparent** age, gender and race" in card
    assert "Do not use it to identify" in card


def test_every_shard_and_the_weights_are_named_by_their_checksums():
    card = write_card(MEASURED)
    assert f"- weights: SHA-256 `{'22' * 32}`" in card
    assert f"- shard `part-1.tar`: SHA-256 `{min(UTKFACE_SHARDS)}`" in card
    assert "3 identical image" in card


@pytest.mark.parametrize("manifest", [MANIFEST, MEASURED])
def test_a_card_holds_no_absolute_path_and_no_hole(manifest):
    card = write_card(manifest)
    assert not re.search(r"(^|[\s`(\"'])(/\w|[A-Z]:\\)", card)
    assert "None" not in card
    assert "nan" not in card.split()
    assert card.endswith("\n")
    assert not card.endswith("\n\n")


def test_the_line_through_ages_is_stated_where_there_is_one():
    assert "output times" not in write_card({**MEASURED, **CALIBRATED})
    line = {**CALIBRATED["calibration"], "age_line": {"offset": -1.25, "slope": 1.05}}
    card = write_card({**MEASURED, **CALIBRATED, "calibration": line})
    assert "- age: the network's output times 1.05, minus 1.25 years" in card


def test_the_group_that_is_read_worst_is_named_with_its_interval():
    card = write_card(MEASURED)
    assert (
        "- race: **male, other** (120 images), accuracy 0.4213 (0.3300 to 0.5100), "
        "0.8412 for all images" in card
    )


def test_figures_without_near_twins_are_given_where_they_were_measured():
    assert "near twin" not in write_card(MEASURED)
    test = {**MEASURED["metrics"]["test"], "table": {**TABLE, "without_twins": TWINLESS}}
    card = write_card({**MEASURED, "metrics": {"test": test}})
    assert "Without the 105 images that have a near twin" in card
    assert "race: accuracy 0.8399" in card


def test_calibration_is_stated_with_what_came_of_it_on_the_holdout():
    assert "## Calibration" not in write_card(MEASURED)
    holdout = {"age": {"coverage": 0.791}, "gender": {"accuracy": 0.93, "ece": 0.0145}}
    card = write_card({**MEASURED, **CALIBRATED, "metrics": {"holdout": holdout}})
    assert "Fitted on 950 held-out images" in card
    assert "On the 470 images of the holdout" in card
    assert "age in the stated range 0.7910" in card
    assert "gender calibration error (ECE) 0.0145" in card
    assert "temperature 1.31; a label with a probability below 0.8 is marked `uncertain`" in card
    assert "10% of the holdout, with accuracy 0.7000; the others have 0.9600" in card
    assert "should contain 80%" in card


def test_a_card_of_other_shards_does_not_speak_of_utkfaces_labellers_or_terms():
    card = write_card({**MEASURED, "shards": [{"name": "mine.tar", "sha256": "11" * 32}]})
    assert "UTKFace's labellers" not in card
    assert "non-commercial" not in card
    assert "as the people who labelled the training images saw them" in card
    assert "terms of your own data" in card
    assert card.count("**") % 2 == 0


def test_a_network_that_mirrors_says_so():
    assert "mirror image" not in write_card(MEASURED)
    assert "averaged with its mirror image" in write_card({**MEASURED, "mirror": True})
    unsure = write_card({**MEASURED, "mirror": {"gender": 0.9, "race": 0.6}})
    assert "gender below 0.9 or race below 0.6 are averaged with their mirror image" in unsure


def test_the_card_names_the_other_networks_that_have_a_part_in_it():
    assert "teacher" not in write_card(MEASURED)
    training = {"averaged": ["A"], "teachers": ["B", "C"], "answers": "ab" * 32}
    card = write_card({**MEASURED, "training": {**MEASURED.get("training", {}), **training}})
    assert "- weights averaged with those of `A`" in card
    assert "- teacher: `B`\n- teacher: `C`" in card
    assert f"- teacher: the stored outputs with SHA-256 `{'ab' * 32}`" in card


def test_the_card_names_the_teacher_and_its_terms():
    taught = {**MANIFEST, "training": {**MANIFEST["training"], "taught": "cd" * 32}}
    card = write_card(taught)
    assert "dlib's face recognition network" in card
    assert "CC0 1.0" in card
    assert "cd" * 32 in card
    assert "dlib" not in write_card(MANIFEST)


def test_the_card_says_what_holds_on_spoiled_images_and_of_children():
    calibration = {
        **CALIBRATED["calibration"],
        "uncertain_under_age": {"gender": 10.0},
        "uncertain": {"gender": {**CALIBRATED["calibration"]["uncertain"]["gender"]}},
    }
    calibration["uncertain"]["gender"]["share_under_age"] = 0.93
    metrics = {
        "holdout": {"gender": {"accuracy": 0.94, "ece": 0.02}},
        "holdout_spoiled": {"gender": {"accuracy": 0.8712, "ece": 0.0333}},
    }
    manifest = {**MANIFEST, **CALIBRATED, "calibration": calibration, "metrics": metrics}
    card = write_card(manifest)
    assert "gender accuracy 0.8712" in card
    assert "0.0333" in card
    assert "93% of the holdout's children under 10" in card


def test_a_shard_whose_name_is_not_utf_8_can_be_written_into_the_card():
    shards = [{"name": "caf\udce9.tar", "sha256": "cd" * 32}]
    assert r"shard `caf\xe9.tar`" in write_card(MANIFEST | {"shards": shards})
