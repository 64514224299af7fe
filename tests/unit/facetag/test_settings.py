"""Settings come from the environment, and a wrong one is told by its name."""

import pytest

from facetag.errors import SettingsInvalid
from facetag.settings import load_settings


@pytest.mark.parametrize("name", ["ab", "My-Photos", "photos_", "-photos", "a" * 64])
def test_a_bucket_that_s3_would_not_make_is_refused_by_name(monkeypatch, name):
    monkeypatch.setenv("FACETAG_S3_BUCKET", name)
    with pytest.raises(SettingsInvalid, match=r"FACETAG_S3_BUCKET: .*3 to 63"):
        load_settings()


@pytest.mark.parametrize("name", ["abc", "photos.of-2026", "a" * 63])
def test_a_bucket_that_s3_would_make_is_taken(monkeypatch, name):
    monkeypatch.setenv("FACETAG_S3_BUCKET", name)
    assert load_settings().s3_bucket == name


def test_every_wrong_setting_has_its_line(monkeypatch):
    monkeypatch.setenv("FACETAG_MIN_FACE", "2")
    monkeypatch.setenv("FACETAG_HEADS", "age,smile")
    with pytest.raises(SettingsInvalid) as caught:
        load_settings()
    assert {line.split(":")[0] for line in str(caught.value).splitlines()} == {
        "FACETAG_MIN_FACE",
        "FACETAG_HEADS",
    }


def test_lists_are_separated_by_commas(monkeypatch):
    monkeypatch.setenv("FACETAG_SOURCE_BUCKETS", " one, two ,")
    assert load_settings().source_buckets == ("one", "two")
