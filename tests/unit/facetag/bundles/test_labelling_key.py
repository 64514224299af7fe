import pytest

from facetag.bundles.labelling_key import labelling_key
from facetag.settings import Settings

MANIFEST = {"version": "v1", "weights_sha256": "ab", "calibration": {"temperatures": {"race": 1.5}}}
KEY = labelling_key(MANIFEST, Settings())


@pytest.mark.parametrize(
    "changed",
    [
        {"min_face": 0.02},
        {"face_confidence": 0.9},
        {"precision": "float32"},
        {"heads": ("age", "gender")},
    ],
)
def test_each_setting_that_changes_labels_changes_the_key(changed):
    assert labelling_key(MANIFEST, Settings().model_copy(update=changed)) != KEY


@pytest.mark.parametrize(
    "changed",
    [
        {"version": "v2"},
        {"weights_sha256": "cd"},
        {"calibration": {"temperatures": {"race": 1.4}}},
        {"something": "new"},
    ],
)
def test_another_bundle_or_calibration_changes_the_key(changed):
    assert labelling_key(MANIFEST | changed, Settings()) != KEY


def test_figures_of_a_bundle_and_the_order_of_its_fields_do_not_matter():
    figures = {
        "metrics": {"age": 7.2},
        "held_out_answers": {},
        "held_out_images": {"holdout": "ab"},
    }
    known = {**figures, **dict(reversed(MANIFEST.items()))}
    assert labelling_key(known, Settings().model_copy(update={"lease_s": 7.0})) == KEY
