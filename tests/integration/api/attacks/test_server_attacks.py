"""Attacks on the servers behind the API, and on the protocol in front of it."""

import json
import socket
from contextlib import closing

import httpx
import psycopg
import pytest
from botocore.exceptions import ClientError
from redis import Redis
from redis.exceptions import AuthenticationError

from facetag.settings import Settings
from facetag.storage.s3_session import open_client
from tests.integration.worker.harness import png

pytestmark = pytest.mark.integration


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
    harness,
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


def test_a_request_whose_end_is_in_doubt_gets_one_refusal(api):
    host = f"{api.base_url.host}:{api.base_url.port}"
    doubtful = {
        "an unknown coding": "Transfer-Encoding: xchunked\r\nContent-Length: 5",
        "two codings": "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "two lengths": "Content-Length: 0\r\nContent-Length: 5",
        "a signed length": "Content-Length: +5",
        "a space before the colon": "Content-Length : 5",
        "a vertical tab": "Transfer-Encoding:\x0bchunked",
        "a folded line": "X: a\r\n Content-Length: 5",
        "a bare carriage return": "X: a\rContent-Length: 5",
        "a zero in a header": "X: a\0b",
    }
    second = f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    for what, header in doubtful.items():
        first = f"POST /v1/jobs HTTP/1.1\r\nHost: {host}\r\n{header}\r\n\r\n0\r\n\r\n"
        place = (api.base_url.host, api.base_url.port)
        with closing(socket.create_connection(place, timeout=5)) as client:
            client.sendall((first + second).encode("latin-1"))
            client.shutdown(socket.SHUT_WR)
            said = b""
            while block := client.recv(4096):
                said += block
        assert said.startswith(b"HTTP/1.1 400 "), what
        assert said.count(b"HTTP/1.1 ") == 1, what
