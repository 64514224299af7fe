"""Attacks of one who has a key, a browser, the network or the machine, and what comes of them."""

import httpx
import pytest

from facetag.access.keys import Scope
from facetag_api.app import create_app

pytestmark = pytest.mark.integration

KEY = "tenants/local/images/aa/a"
NAMED = {
    "a folder up": "tenants/local/images/../bundles/v1/network.weights.h5",
    "the same place by a dot": "tenants/local/images/./a.jpg",
    "a backslash": "tenants/local/images/..\\\\..\\\\bundles",
    "a control character": "tenants/local/images/a\njpg",
    "a waiting prediction": "tenants/local/predict/0123456789abcdef",
    "a thumbnail": "tenants/local/thumbnails/aa/a.webp",
    "a bundle": "tenants/local/bundles/v1/bundle.json",
    "a tenant of a longer name": "tenants/local2/images/aa/a.jpg",
    "another tenant's photo by its bucket": "s3://facetag/tenants/other/images/aa/a.jpg",
    "the operator's bucket": "s3://facetag-operator/tenants/local/bundles/v1/bundle.json",
    "a scheme in capitals": "S3://museum/a.jpg",
    "a file": "file:///etc/passwd",
    "the address of a cloud's secrets": "http://169.254.169.254/latest/meta-data",
    "a bucket with an address": "s3://museum@evil.example/a.jpg",
    "an absolute path": "/etc/passwd",
}


def test_a_job_names_nothing_that_it_may_not_read(api):
    for what, key in NAMED.items():
        answer = api.post("/v1/jobs", json={"images": [{"key": key}]})
        assert answer.status_code == 422, what
        prefix = api.post("/v1/jobs", json={"prefix": key})
        assert prefix.status_code == 422, what
        assert api.post("/v1/jobs/plan", json={"prefix": key}).status_code == 422, what
    assert api.get("/v1/jobs").json()["jobs"] == []


def test_a_narrow_key_and_another_tenant_get_nothing_wider(api, harness):
    job = api.post("/v1/jobs", json={"images": [{"key": KEY}]}).json()
    path = f"/v1/jobs/{job['id']}"
    purge = {"sha256": ["0" * 64]}
    for scope in (Scope.READ, Scope.JOBS, Scope.REVIEW):
        narrow = harness.make_key(scope=scope)
        assert api.post("/v1/purge", json=purge, headers=narrow).status_code == 403
        assert api.get("/v1/audit-log", headers=narrow).status_code == 403
        assert api.post("/v1/models/v1/promote", headers=narrow).status_code == 403
        assert api.post("/v1/models/rollback", headers=narrow).status_code == 403
    assert api.post(f"{path}/cancel", headers=harness.make_key(scope=Scope.READ)).status_code == 403
    other = harness.make_key(tenant_id="other")
    for route in ("", "/images", "/results", "/events", "/images/0/photo", "/review/queue"):
        assert api.get(path + route, headers=other).status_code == 404, route
    for action in ("cancel", "retry", "retag", "resume", "reviews"):
        assert api.post(f"{path}/{action}", json={}, headers=other).status_code in (404, 422)
    assert api.delete(path, headers=other).status_code == 404
    assert api.post("/v1/purge", json=purge, headers=other).json()["number"] == 0
    assert api.get("/v1/audit-log", headers=other).json()["lines"] == [] or job["id"] not in (
        api.get("/v1/audit-log", headers=other).text
    )
    assert 'facetag_open_job_images{state="queued"} 0.0' in api.get("/metrics", headers=other).text
    assert api.get("/v1/jobs", params={"id": job["id"][:8]}, headers=other).json()["jobs"] == []


def test_no_operation_serves_nobody_or_shows_another_tenant_a_job(settings, api, harness):
    job_id = api.post("/v1/jobs", json={"images": [{"key": KEY}]}).json()["id"]
    review = {"position": 0, "face": 0, "verdict": "accepted", "reviewer": "anna"}
    other = harness.make_key(tenant_id="other")
    reached = 0
    for route, methods in create_app(settings).openapi()["paths"].items():
        path = route.replace("{job_id}", job_id).replace("{position}", "0")
        path = path.replace("{review_id}", "1").replace("{version}", "v1")
        for method in methods:
            body = review if route.endswith("/reviews") else None
            nobody = httpx.request(method, f"{api.base_url}{path}", json=body)
            assert nobody.status_code == (200 if route == "/healthz" else 401), (method, route)
            if "{job_id}" in route:
                answer = api.request(method, path, json=body, headers=other)
                assert answer.status_code == 404, (method, route)
            reached += 1
    assert reached > 30
    assert api.get(f"/v1/jobs/{job_id}").json()["state"] == "queued"
