"""Clients that send too much, too slowly, or too often, over real sockets."""

import socket
import threading
import time

import httpx
import pytest
import uvicorn

from facetag_api import bounded_protocol
from facetag_api.bounded_protocol import BoundedProtocol
from facetag_api.limits import BodyLimit
from tests.integration.api.conftest import serve

pytestmark = pytest.mark.integration


async def read_all(scope, receive, send):
    """An application that reads the whole body."""
    if scope["type"] != "http":
        return
    from starlette.exceptions import HTTPException

    status = 200
    try:
        while (await receive()).get("more_body"):
            pass
    except HTTPException as error:
        status = error.status_code
    got = [(b"got", name) for name, _ in scope["headers"]]
    await send({"type": "http.response.start", "status": status, "headers": got})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def port(monkeypatch):
    monkeypatch.setattr(bounded_protocol, "HEAD_DEADLINE_S", 0.5)
    app = BodyLimit(read_all, {"/": 10**9}, deadline_s=1.0, max_in_flight=3 * 2**20)
    config = uvicorn.Config(app, port=0, log_config=None, http=BoundedProtocol, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


def send(port, data):
    link = socket.create_connection(("127.0.0.1", port), timeout=10)
    link.sendall(data)
    return link


def test_half_requests_are_hung_up_on_and_the_others_served(port):
    halves = [send(port, b"GET / HTTP/1.1\r\nHost: a\r\n") for _ in range(60)]
    assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 200
    for half in halves:
        assert half.recv(100) == b""
        half.close()


def test_a_later_half_request_on_a_kept_connection_is_hung_up_on_too(port):
    link = send(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"200" in link.recv(1000)
    time.sleep(0.7)
    link.sendall(b"GET / HTTP/1.1\r\n")
    assert link.recv(100) == b""
    link.close()


@pytest.mark.parametrize(
    "beginning",
    [
        "GET / HTTP/1.1\r\nHost: a\r\nX: ",
        "GET /",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;",
    ],
)
def test_a_head_a_trailer_and_a_chunks_words_have_an_end(port, monkeypatch, beginning):
    monkeypatch.setattr(bounded_protocol, "HEAD_DEADLINE_S", 60)
    link = send(port, beginning.encode())
    with pytest.raises(OSError, match=r"reset|Broken pipe"):
        link.sendall(b"a" * 2**26)
    link.close()


def test_a_trailer_adds_no_header_after_the_checks(port):
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    link = send(port, head + b"1\r\nx\r\n")
    link.sendall(b"0\r\nAuthorization: Bearer late\r\n\r\n")
    answer = link.recv(1000)
    assert b"got: host" in answer
    assert b"authorization" not in answer
    link.close()


def test_a_body_that_trickles_is_ended(port):
    link = send(port, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
    began = time.monotonic()
    for _ in range(4):
        link.sendall(b"x")
        time.sleep(0.2)
    assert b" 408 " in link.recv(1000)
    assert time.monotonic() - began < 8
    link.close()


def test_slow_large_bodies_do_not_fill_the_memory(port):
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n"
    links = [send(port, head + b"x" * 10**6) for _ in range(4)]
    time.sleep(0.5)
    answers = []
    for link in links:
        link.settimeout(5)
        answers.append(link.recv(1000))
        link.close()
    assert any(b" 503 " in answer for answer in answers)
    assert httpx.post(f"http://127.0.0.1:{port}/", content=b"x" * 10**6).status_code == 200


def test_a_key_that_asks_too_often_is_told_when_to_come_back(settings, harness):
    slow = settings.model_copy(update={"max_requests_per_minute": 6})
    with serve(slow, harness.make_key()) as api:
        assert api.get("/v1/jobs").status_code == 200
        refused = api.get("/v1/jobs")
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        assert api.get("/healthz").status_code == 200
        other = harness.make_key(tenant_id="other")
        assert api.get("/v1/jobs", headers=other).status_code == 200


def test_a_tenant_has_an_end_of_jobs_and_of_images(settings, harness):
    few = settings.model_copy(update={"max_open_jobs": 2, "max_tenant_images": 5})
    body = {"images": [{"key": f"tenants/local/images/{n}.jpg"} for n in range(3)]}
    with serve(few, harness.make_key()) as api:
        again = {"Idempotency-Key": "a"}
        first = api.post("/v1/jobs", json=body, headers=again)
        assert first.status_code == 202
        refused = api.post("/v1/jobs", json=body)
        assert refused.status_code == 429
        assert "FACETAG_MAX_TENANT_IMAGES" in refused.json()["detail"]
        assert api.post("/v1/jobs", json=body, headers=again).json() == first.json()
        api.post(f"/v1/jobs/{first.json()['id']}/cancel")
        assert api.post(f"/v1/jobs/{first.json()['id']}/retag").status_code == 429
        one = {"images": body["images"][:1]}
        listed, key = {"prefix": "s3://museum/"}, {"Idempotency-Key": "b"}
        listing = api.post("/v1/jobs", json=listed, headers=key)
        assert [api.post("/v1/jobs", json=one).status_code for _ in range(2)] == [202, 429]
        # The client did not hear the answer: it gets it again, although no job more may be.
        replay = api.post("/v1/jobs", json=listed, headers=key)
        assert (replay.status_code, replay.json()) == (202, listing.json())
        assert api.post("/v1/jobs", json=listed).status_code == 429
