import pytest

from facetag.db.tables import Job
from facetag.settings import Settings
from facetag_worker.prefix_listing import may_list

SETTINGS = Settings(s3_bucket="own", source_buckets=("archive",))


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
