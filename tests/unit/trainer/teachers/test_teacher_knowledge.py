"""What teachers said is read for the very images that it is about."""

import numpy as np
import pytest

from facetag.errors import FacetagError
from facetag_trainer.teachers.teacher_knowledge import read_knowledge
from tests.unit.trainer.fit.test_descriptor_head import write_taught
from tests.unit.trainer.tiny_caches import write_tiny_cache


@pytest.fixture
def cache(tmp_path):
    return write_tiny_cache(tmp_path / "cache")


def test_descriptors_have_mean_0_and_spread_1_over_what_is_fitted_on(cache, tmp_path):
    knowledge = read_knowledge(write_taught(tmp_path / "taught.npz", cache), cache)
    fitted = knowledge.descriptors[~cache.validation]
    assert fitted.mean(axis=0) == pytest.approx(np.zeros(6), abs=1e-4)
    assert fitted.std(axis=0).mean() == pytest.approx(1, abs=1e-4)
    assert set(knowledge.answers) == {"gender", "race"}


def test_what_is_about_other_images_or_is_no_such_file_is_refused(cache, tmp_path):
    others = write_taught(tmp_path / "others.npz", cache, hashes=cache.hashes[::-1])
    with pytest.raises(FacetagError, match="other images"):
        read_knowledge(others, cache)
    (tmp_path / "text.npz").write_text("no file of arrays")
    with pytest.raises(FacetagError, match="facetag teach"):
        read_knowledge(tmp_path / "text.npz", cache)
