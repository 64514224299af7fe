"""Attacks by bodies, cursors, paths and headers, and what comes of them."""

import base64

import httpx
import pytest

pytestmark = pytest.mark.integration

ZERO = "00000000-0000-4000-8000-000000000000"
BODIES = {
    "lists in lists": b"[" * 50_000,
    "bytes that are no text": b'{"images": [{"key": "\xff\xfe"}]}',
    "half a surrogate": b'{"images": [{"key": "tenants/local/images/a", "name": "\\ud800"}]}',
    "a zero in a name": b'{"images": [{"key": "tenants/local/images/a", "name": "a\\u0000"}]}',
    "both images and a prefix": b'{"images": [{"key": "k"}], "prefix": "s3://museum/"}',
    "a field of another object": b'{"images": [{"key": "k"}], "tenant_id": "other"}',
    "a priority": b'{"images": [{"key": "tenants/local/images/a"}], "priority": 10}',
    "no object": b"null",
}
CURSORS = ("[2147483648]", "[-1]", '["x"]', "[1e999]", "[true]", "[]", "[[0]]", "0", "{")
PATHS = (
    "/v1/jobs/..%2f..%2fetc",
    "/v1/jobs/" + "9" * 5000,
    "/v1/models/..%2f..%2f..%2fetc%2fpasswd",
    "/page/..%2f..%2f..%2fapp.py",
    "/%2e%2e/%2e%2e/etc/passwd",
    "//evil.example/%2e%2e",
    "/.git/config",
    "/docs",
    f"/v1/jobs/{ZERO}/images/0/photo",
    f"/v1/jobs/{ZERO}/images/-1/thumbnail",
)


def test_no_body_no_cursor_and_no_path_brings_the_service_out_of_step(api):
    declared = {"Content-Type": "application/json"}
    for what, body in BODIES.items():
        answer = api.post("/v1/jobs", content=body, headers=declared)
        assert answer.status_code == 422, what
    for cursor in CURSORS:
        text = base64.urlsafe_b64encode(cursor.encode()).decode()
        for route in ("/v1/jobs", f"/v1/jobs/{ZERO}/images"):
            assert api.get(route, params={"cursor": text}).status_code in (404, 422), cursor
    for path in PATHS:
        answer = api.get(path)
        assert answer.status_code in (404, 422), path
        assert "evil" not in answer.headers.get("location", "")
    for size in ("1e400", "1" + "0" * 400, "-1", "NaN"):
        file = f'{{"files": [{{"sha256": "{"0" * 64}", "size": {size}}}]}}'
        assert api.post("/v1/uploads", content=file, headers=declared).status_code == 422, size
    packed = {**declared, "Content-Encoding": "gzip"}
    assert api.post("/v1/jobs", content=b"\x1f\x8b" * 99, headers=packed).status_code == 422
    for kind in ("text/html", "image/svg+xml", "image/a+xml", "image/png\r\nX: y"):
        file = {"sha256": "0" * 64, "size": 1, "content_type": kind}
        assert api.post("/v1/uploads", json={"files": [file]}).status_code == 422, kind
    parts = [(f"field{number}", (None, "x")) for number in range(2000)]
    assert 400 <= api.post("/v1/predict", files=parts).status_code < 500
    assert api.get("/healthz").status_code == 200


def test_nobody_comes_in_by_another_door(api, harness):
    key = api.headers["authorization"].removeprefix("Bearer ")
    job = api.post("/v1/jobs", json={"images": [{"key": "tenants/local/images/aa/a"}]}).json()
    path = f"/v1/jobs/{job['id']}"
    with httpx.Client(base_url=api.base_url) as nobody:
        tries = [
            nobody.get("/v1/jobs", params={"key": key, "access_token": key}),
            nobody.get("/v1/jobs", headers={"X-Api-Key": key}),
            nobody.get("/v1/jobs", headers={"Authorization": f"Basic {key}"}),
            nobody.get("/v1/jobs", headers={"Authorization": f"Bearer {key[:-1]}"}),
            nobody.get("/v1/jobs", headers={"Authorization": f"Bearer {key.swapcase()}"}),
            nobody.get("/v1/jobs", headers={"Cookie": f"facetag_session={key}"}),
            nobody.get("/v1/jobs", headers={"X-Original-URL": "/healthz"}),
            nobody.get("/healthz/../v1/jobs"),
            nobody.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}),
        ]
    assert [answer.status_code for answer in tries] == [401] * len(tries)
    hosts = (
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "[::1].evil.example",
    )
    for host in hosts:
        forwarded = {"Host": host, "X-Forwarded-Host": "127.0.0.1"}
        assert api.get("/v1/jobs", headers=forwarded).status_code == 421, host
    for origin in ("null", "http://127.0.0.1.evil.example", "https://evil.example", "file://"):
        sent = {"Origin": origin}
        assert api.post(f"{path}/cancel", headers=sent).status_code == 403, origin
        preflight = api.options(
            "/v1/jobs", headers={**sent, "Access-Control-Request-Method": "POST"}
        )
        assert "access-control-allow-origin" not in preflight.headers
    overridden = {"X-HTTP-Method-Override": "DELETE", "X-Method-Override": "DELETE"}
    assert api.get(path, headers=overridden).json()["state"] == "queued"
    for method in ("TRACE", "PROPFIND"):
        assert api.request(method, "/v1/jobs").status_code in (400, 404, 405), method
