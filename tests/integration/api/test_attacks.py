"""Attacks of one who has a key, a browser, the network or the machine, and what comes of them."""

import base64
import json
import socket
import stat
import subprocess
from contextlib import closing

import httpx
import psycopg
import pytest
from botocore.exceptions import ClientError
from redis import Redis
from redis.exceptions import AuthenticationError

from facetag.access.keys import Scope
from facetag.settings import Settings
from facetag.storage.s3_session import open_client
from tests.integration.worker.harness import png
from tests.ordinary_user import become_nobody

pytestmark = pytest.mark.integration

ZERO = "00000000-0000-4000-8000-000000000000"
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


def test_a_job_names_nothing_that_it_may_not_read(api):
    for what, key in NAMED.items():
        answer = api.post("/v1/jobs", json={"images": [{"key": key}]})
        assert answer.status_code == 422, what
        prefix = api.post("/v1/jobs", json={"prefix": key})
        assert prefix.status_code == 422, what
        assert api.post("/v1/jobs/plan", json={"prefix": key}).status_code == 422, what
    assert api.get("/v1/jobs").json()["jobs"] == []


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
    for kind in ("text/html", "image/svg+xml", "image/png\r\nX: y"):
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


def test_a_narrow_key_and_another_tenant_get_nothing_wider(api, harness):
    job = api.post("/v1/jobs", json={"images": [{"key": "tenants/local/images/aa/a"}]}).json()
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


def test_object_storage_gives_nothing_to_nobody_and_little_to_the_api(local_stack, harness):
    (key,) = harness.put(png())
    endpoint, bucket = harness.settings.s3_endpoint_url, harness.settings.s3_bucket
    for path in ("/", f"/{bucket}", f"/{bucket}/{key}", f"/{bucket}?list-type=2&prefix=tenants/"):
        assert httpx.get(endpoint + path).status_code == 403, path
        assert httpx.put(f"{endpoint}/{bucket}/{key}", content=b"x").status_code == 403
    assert httpx.delete(f"{endpoint}/{bucket}/{key}").status_code == 403
    names = local_stack.api_environment()
    fields = ("s3_endpoint_url", "s3_access_key", "s3_secret_key", "s3_bucket")
    given = {field: names[f"FACETAG_{field.upper()}"] for field in fields}
    _, narrow = open_client(Settings(**given), endpoint, 1)
    _, wide = open_client(harness.settings, endpoint, 1)
    place = {"Bucket": harness.settings.operator_bucket, "Key": "tenants/local/bundles/v1/card.md"}
    wide.put_object(**place, Body=b"a card")
    for deed, more in (
        (narrow.put_object, {"Body": b"forged"}),
        (narrow.delete_object, {}),
        (narrow.get_object, {}),
    ):
        with pytest.raises(ClientError, match=r"AccessDenied|Forbidden"):
            deed(**place, **more)
    assert wide.get_object(**place)["Body"].read() == b"a card"


def test_the_other_servers_obey_nobody_without_a_password_and_facetag_is_no_superuser(
    harness, local_stack
):
    redis_url, database = (
        harness.settings.require("redis_url"),
        harness.settings.require("database_url"),
    )
    secret = redis_url.split(":")[2].split("@")[0]
    for url in (redis_url.replace(f":{secret}@", ""), redis_url.replace(secret, "guess")):
        with Redis.from_url(url) as redis, pytest.raises(AuthenticationError):
            redis.flushall()
    plain = database.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(plain, autocommit=True) as connection:
        for statement in (
            "COPY jobs TO PROGRAM 'id'",
            "SELECT pg_read_file('/etc/passwd')",
            "ALTER SYSTEM SET archive_command = 'id'",
            "CREATE FUNCTION f() RETURNS int AS 'libc.so.6' LANGUAGE c",
            "SELECT lo_import('/etc/passwd')",
            "SET ROLE postgres",
        ):
            with pytest.raises(psycopg.Error):
                connection.execute(statement)
    folder = local_stack.folders.data_dir
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for private in (folder / "credentials.json", *(folder / "run").glob("*identity*")):
        assert stat.S_IMODE(private.stat().st_mode) & 0o077 == 0, private
    read = subprocess.run(
        [*become_nobody(), "cat", folder / "credentials.json"], capture_output=True, check=False
    )
    assert read.returncode != 0


def test_lines_that_are_smuggled_into_a_request_make_no_second_one(api):
    host, port = api.base_url.host, api.base_url.port
    key = api.headers["authorization"]
    body = json.dumps({"images": [{"key": "tenants/local/images/aa/a"}]})
    smuggled = (
        f"POST /v1/jobs HTTP/1.1\r\nHost: {host}\r\nAuthorization: {key}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        f"POST /v1/jobs HTTP/1.1\r\nHost: {host}\r\nAuthorization: {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )
    with closing(socket.create_connection((host, port), timeout=5)) as client:
        client.sendall(smuggled.encode())
        client.shutdown(socket.SHUT_WR)
        said = b""
        while block := client.recv(4096):
            said += block
    assert b" 202 " not in said.split(b"\r\n")[0]
    assert len(api.get("/v1/jobs").json()["jobs"]) <= said.count(b" 202 ")
