import pytest

from facetag.settings import Settings
from facetag.storage.object_keys import holds_photos, image_key

SETTINGS = Settings(source_buckets=("museum",))
OWN = image_key("local", "a" * 64, ".jpg")


@pytest.mark.parametrize(
    ("bucket", "key"),
    [("facetag", OWN), ("facetag", "tenants/local/predict/1"), ("museum", "any/where.jpg")],
)
def test_a_worker_reads_its_tenants_photos_and_source_buckets(bucket, key):
    assert holds_photos(bucket, key, tenant_id="local", settings=SETTINGS)


@pytest.mark.parametrize(
    ("bucket", "key"),
    [
        ("facetag", "tenants/local/bundles/v/a/network.weights.h5"),
        ("facetag", "tenants/local/shards/a.tar"),
        ("facetag", "tenants/other/images/a.jpg"),
        ("facetag", "tenants/local/images/../../other/images/a.jpg"),
        ("facetag", "tenants/local/images/a\\..\\b"),
        ("facetag", "tenants/localimages/a"),
        ("facetag-operator", OWN),
        ("elsewhere", OWN),
        ("museum", "../facetag/a"),
    ],
)
def test_a_worker_reads_nothing_else(bucket, key):
    assert not holds_photos(bucket, key, tenant_id="local", settings=SETTINGS)
