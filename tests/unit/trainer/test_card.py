"""The card says what was measured, on which terms, and what the labels are not."""

import re

import pytest

from trainer.card import NSFWJS_SHA256, PAPER, write_card

TABLE = {
    "n": 2259,
    "age": {"rmse": 7.3412, "mae": 5.2, "cs5": 0.61},
    "gender": {"accuracy": 0.9312, "f1": 0.93, "precision": 0.94, "recall": 0.92, "auc": None},
    "race": {"accuracy": 0.8412, "macro_f1": 0.77},
}
MANIFEST = {
    "version": "2025-01-31-abcdef01",
    "network": {"backbone": "inceptionv3", "input_size": 160},
    "shards": [{"name": "part-1.tar", "sha256": "11" * 32}],
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
    assert "| age: RMSE (years) | 7.34 | 8.70 | 6.99 |" in card
    assert f"| gender: accuracy | 0.9312 | {PAPER['gender']['accuracy']} | – |" in card
    assert "| gender: AUC | – | 0.9783 | – |" in card
    assert "`facetag evaluate test.tar` printed on 2025-02-01, over 2259 images" in card


def test_without_a_test_only_the_validation_is_shown():
    card = write_card(MANIFEST)
    assert "On the validation images only." in card
    assert "| age: RMSE (years) | 6.99 | 8.70 | – |" in card


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
    assert "Not for identifying" in card


def test_every_shard_and_the_weights_are_named_by_their_checksums():
    card = write_card(MEASURED)
    assert f"- weights: SHA-256 `{'22' * 32}`" in card
    assert f"- shard `part-1.tar`: SHA-256 `{'11' * 32}`" in card
    assert "3 identical image" in card


@pytest.mark.parametrize("manifest", [MANIFEST, MEASURED])
def test_a_card_holds_no_absolute_path_and_no_hole(manifest):
    card = write_card(manifest)
    assert not re.search(r"(^|[\s`(\"'])(/\w|[A-Z]:\\)", card)
    assert "None" not in card
    assert "nan" not in card.split()
    assert card.endswith("\n")
    assert not card.endswith("\n\n")
