import pytest

from facetag.db.tables import Job
from facetag.settings import Settings
from facetag.storage.client import ListedObject
from facetag_worker.prefix_listing import images_among, may_list

SETTINGS = Settings(s3_bucket="own", source_buckets=("archive",))


def listed(*keys):
    return [ListedObject(key, "etag", 1) for key in keys]


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


@pytest.mark.parametrize(
    ("bucket", "prefix", "allowed"),
    [
        ("archive", "", True),
        ("own", "tenants/local/images/", True),
        ("own", "tenants/locals/", False),
        ("own", "tenants/other/", False),
        ("own", "", False),
        ("elsewhere", "", False),
    ],
)
def test_only_source_buckets_and_the_tenant_s_own_prefix_are_listed(bucket, prefix, allowed):
    job = Job(tenant_id="local", source_bucket=bucket, source_prefix=prefix)
    assert may_list(SETTINGS, job) is allowed
