from datetime import UTC, datetime

import pytest

from facetag.jobs.prefix import images_among
from facetag.storage.client import ListedObject

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def listed(*keys):
    return [ListedObject(key, "etag", 1, NOW) for key in keys]


def test_only_names_with_an_image_s_suffix_are_listed():
    found = listed("p/a.jpg", "p/b.JPEG", "p/notes.txt", "p/", "p/c.tiff", "p/jpg")
    assert [image.key for image in images_among(found, "b", "p/", tenant_id=None)] == [
        "p/a.jpg",
        "p/b.JPEG",
        "p/c.tiff",
    ]


@pytest.mark.parametrize(
    ("prefix", "name"),
    [("2020/summer/", "a.jpg"), ("2020/sum", "summer/a.jpg"), ("", "2020/summer/a.jpg")],
)
def test_images_are_named_by_their_path_below_the_prefix_s_folder(prefix, name):
    (image,) = images_among(listed("2020/summer/a.jpg"), "b", prefix, tenant_id=None)
    assert image.name == name
