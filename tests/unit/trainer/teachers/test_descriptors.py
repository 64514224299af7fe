"""The teachers' files are read without importing the package that brings them."""

import sys

import pytest

from facetag.errors import FacetagError
from facetag_trainer.teachers.descriptors import SHA256, load_describer


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Stand-ins for dlib and its networks, whose import fails as it does without pkg_resources."""
    models = tmp_path / "face_recognition_models" / "models"
    models.mkdir(parents=True)
    for name in SHA256:
        (models / name).write_bytes(b"other numbers")
    for package in ("face_recognition_models", "dlib"):
        (tmp_path / package).mkdir(exist_ok=True)
        (tmp_path / package / "__init__.py").write_text("")
    (models.parent / "__init__.py").write_text("import pkg_resources_of_old_setuptools")
    monkeypatch.delitem(sys.modules, "dlib", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("dlib", None)


def test_other_files_than_the_known_are_refused_without_importing_their_package(packages):
    with pytest.raises(FacetagError, match=r"is not that of face-recognition-models 0\.3\.0"):
        load_describer()
    assert "face_recognition_models" not in sys.modules


def test_a_missing_package_is_named_with_its_extra(packages, monkeypatch):
    (packages / "face_recognition_models").rename(packages / "other")
    monkeypatch.setattr(sys, "path", [str(packages)])
    with pytest.raises(FacetagError, match=r"pip install 'facetag\[teachers\]'"):
        load_describer()
