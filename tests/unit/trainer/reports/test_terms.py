"""Terms are those of the shards and weights that a network was in truth fitted on."""

import pytest

from facetag_trainer.reports.terms import NSFWJS_SHA256, UTKFACE_SHARDS, is_of_utkface, write_terms

OURS = [{"name": f"part-{index}.tar", "sha256": one} for index, one in enumerate(UTKFACE_SHARDS)]
OTHERS = [{"name": "mine.tar", "sha256": "ab" * 32}]


def manifest(shards, start=None, **more):
    return {"shards": shards, "training": {"starting_weights": start}, "parent": None, **more}


def test_the_four_parts_bring_utkfaces_terms_and_no_others():
    terms = write_terms(manifest(OURS))
    assert "non-commercial research only" in terms
    assert "your own data" not in terms
    assert is_of_utkface(manifest(OURS[:1]))


def test_other_shards_bring_the_terms_of_their_owners_data_and_not_utkfaces():
    terms = write_terms(manifest(OTHERS))
    assert "terms of your own data" in terms
    assert "`mine.tar`" in terms
    assert "UTKFace" not in terms
    assert not is_of_utkface(manifest(OTHERS))


def test_a_mixture_brings_both():
    terms = write_terms(manifest(OURS + OTHERS))
    assert "UTKFace" in terms
    assert "`mine.tar`" in terms
    assert "part-0.tar" not in terms


def test_a_manifest_may_say_that_its_shards_are_utkfaces_cut_anew():
    terms = write_terms(manifest(OTHERS, data="UTKFace"))
    assert "non-commercial research only" in terms
    assert "your own data" not in terms


def test_what_a_network_was_fitted_on_before_counts_as_well():
    terms = write_terms(manifest(OTHERS, parent="2025-01-31-abcdef01"))
    assert "2025-01-31-abcdef01" in terms
    assert "random weights" not in terms


@pytest.mark.parametrize(
    ("start", "expected", "missing"),
    [
        (None, "random weights", "nsfwjs"),
        ({"file": "start.weights.h5", "sha256": NSFWJS_SHA256}, "Infinite Red", "random weights"),
        ({"file": "other.h5", "sha256": "33" * 32}, "33" * 32, "nsfwjs"),
        ({"file": "imagenet of Keras 3", "sha256": None}, "imagenet of Keras 3", "None"),
    ],
)
def test_the_terms_of_the_starting_weights_are_stated(start, expected, missing):
    terms = write_terms(manifest(OURS, start))
    assert expected in terms
    assert missing not in terms
