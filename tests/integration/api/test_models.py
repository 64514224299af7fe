"""Bundles are listed, promoted and rolled back over HTTP, by keys that may."""

import pytest

from facetag.access.keys import Scope
from facetag.bundles.registry import add_bundle, register_model

pytestmark = pytest.mark.integration


def manifest(version):
    return {"version": version, "weights_sha256": version}


@pytest.fixture
def bundles(harness):
    """A champion, a candidate that was never compared and one that failed, all in storage."""
    failed = {"holds": False, "against": "one", "reasons": ["age RMSE: worse"]}
    with harness.transaction() as session:
        register_model(session, "local", manifest("one"))
        for version, verdict in (("one", None), ("two", None), ("three", failed)):
            add_bundle(session, manifest(version), {}, tenant_id="local", verdict=verdict)


def test_a_bundle_is_promoted_and_rolled_back_by_an_administrator(api, harness, bundles):
    worker = harness.make_key(scope=Scope.JOBS)
    assert api.post("/v1/models/two/promote", headers=worker).status_code == 403
    assert api.post("/v1/models/rollback", headers=worker).status_code == 403
    for unknown in ("four", "%25", "t_o", "%00", "two%00"):
        assert api.post(f"/v1/models/{unknown}/promote").status_code == 404
        assert api.get(f"/v1/models/{unknown}").status_code == 404
    # Without a comparison with the champion nobody knows what would be lost.
    assert api.post("/v1/models/two/promote").status_code == 409
    forced = {"force": True}
    assert api.post("/v1/models/two/promote", json=forced).json()["previous"] == "one"
    assert api.post("/v1/models/two/promote", json=forced).status_code == 409
    refused = api.post("/v1/models/three/promote")
    assert refused.status_code == 409
    assert "age RMSE: worse" in refused.json()["detail"]
    assert api.post("/v1/models/three/promote", json=forced).status_code == 200
    assert api.post("/v1/models/rollback").json()["version"] == "two"
    changes = api.get("/v1/promotions").json()["promotions"]
    assert [(one["version"], one["rollback"]) for one in changes] == [
        ("two", True),
        ("three", False),
        ("two", False),
    ]
