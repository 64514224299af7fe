import pytest

from facetag.settings import Settings
from facetag_api.image_locations import locate_object, locate_prefix
from facetag_api.problems import RequestInvalid

SETTINGS = Settings(source_buckets=("museum",))
REFUSED = [
    "tenants/local/bundles/v/a/network.weights.h5",
    "tenants/local/shards/a.tar",
    "tenants/local/predict/1",
    "tenants/local/",
    "tenants/other/images/a.jpg",
    "tenants/local/images/../bundles/a",
    "tenants/local/images/./a",
    "tenants/local/images/a\x00",
    "tenants/local/images/a\\b",
    "s3://facetag/tenants/local/bundles/a",
    "s3://facetag-operator/tenants/local/bundles/a",
    "s3://elsewhere/a.jpg",
    "s3://museum/../facetag/a",
    "s3://MUSEUM/a.jpg",
    "s3:///a",
    "../tenants/local/images/a",
    "/tenants/local/images/a",
]


@pytest.mark.parametrize("key", REFUSED)
def test_a_job_names_nothing_but_its_tenants_photos(key):
    with pytest.raises(ValueError, match=r"key|bucket|tagged"):
        locate_object(key, settings=SETTINGS, tenant_id="local")
    if key.startswith("s3://"):
        with pytest.raises(RequestInvalid):
            locate_prefix(key, settings=SETTINGS, tenant_id="local")


@pytest.mark.parametrize("key", ["tenants/local/images/aa/a.jpg", "s3://museum/1920/a.jpg"])
def test_a_job_names_its_photos_and_those_of_a_source_bucket(key):
    _, found = locate_object(key, settings=SETTINGS, tenant_id="local")
    assert key.endswith(found)
