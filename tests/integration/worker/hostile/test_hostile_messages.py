"""Whoever can write to Redis can ring, and do nothing else to a worker."""

import base64
import json
import uuid

import pytest
from redis import Redis

from facetag.queue.celery_app import count_dropped
from facetag.queue.doorbell_transport import DROPPED
from tests.integration.worker.harness import png

pytestmark = pytest.mark.integration

FAR = "2999-01-01T00:00:00+00:00"


def forge(*, task="facetag.tag", arguments=None, headers=None, **properties):
    """Return the bytes of a message that Celery understands."""
    number = str(uuid.uuid4())
    body = json.dumps([arguments or [str(uuid.uuid4())], {}, {}]).encode()
    message = {
        "body": base64.b64encode(body).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"lang": "py", "task": task, "id": number, "root_id": number} | (headers or {}),
        "properties": {
            "correlation_id": number,
            "delivery_tag": number,
            "delivery_info": {"exchange": "", "routing_key": "tag"},
            "body_encoding": "base64",
        }
        | properties,
    }
    return json.dumps(message).encode()


NO_DOORBELLS = {
    "bytes that are no text": b"\xff\xfe\x00\x9f",
    "text that is no JSON": b"{",
    "JSON that is no message": b"[1, 2, 3]",
    "JSON deeper than Python goes": b"[" * 100_000,
    "a type that is none": b'{"__type__": "uuid", "__value__": 5}',
    "a message without properties": b'{"headers": {"task": "facetag.tag"}, "body": "W10="}',
    "headers that are no headers": forge().replace(b'"headers": {', b'"headers": 5, "x": {'),
    "a body that is not base64": forge().replace(b'"body": "', b'"body": "\\u2603'),
    "a task that we lack": forge(task="celery.backend_cleanup"),
    "a task that Celery brings": forge(task="celery.chord_unlock"),
    "an id that is none": forge(arguments=["../../etc/passwd"]),
    "two arguments": forge(arguments=[str(uuid.uuid4()), "more"]),
    "a pickle": json.dumps(
        json.loads(forge()) | {"body": base64.b64encode(b"\x80\x04N.").decode()}
    ).encode(),
}


def test_what_is_no_doorbell_is_dropped_and_counted_and_the_worker_works_on(harness, start):
    worker = start("worker")
    with Redis.from_url(harness.settings.require("redis_url")) as redis:
        redis.delete(DROPPED)
        redis.lpush("tag", *NO_DOORBELLS.values())
        job_id = harness.post(harness.put(png()), announced=True)
        harness.wait_until_closed(job_id)
        harness.wait_until(
            lambda: count_dropped(harness.settings) == len(NO_DOORBELLS), "all are counted"
        )
        assert redis.llen("tag") == 0
    assert worker.poll() is None
    assert harness.log.read_text().count('"message_dropped"') == len(NO_DOORBELLS)
    assert "Traceback" not in harness.log.read_text()


def test_no_message_limits_delays_or_voids_the_work_that_it_announces(harness, start):
    orders = {"timelimit": [0.01, 0.01], "eta": FAR, "expires": "2001-01-01T00:00:00+00:00"}
    start("worker", "--photo-s", "0.2")
    job_id = harness.post(harness.put(*[png()] * 4))
    with Redis.from_url(harness.settings.require("redis_url")) as redis:
        redis.lpush("tag", forge(headers=orders, arguments=[str(job_id)]))
        harness.wait_until_closed(job_id)
    assert not any(row.suspicion for row in harness.rows(job_id))
    assert "Timeout" not in harness.log.read_text()


def test_routes_and_unacknowledged_messages_in_redis_are_not_believed(harness, start):
    """Kombu would read both, and fail at bytes that are no text."""
    with Redis.from_url(harness.settings.require("redis_url")) as redis:
        redis.sadd("_kombu.binding.tag", b"\xff\xfe")
        redis.hset("unacked", "one", b"\xff\xfe")
        redis.zadd("unacked_index", {"one": 1})
        try:
            worker = start("worker")
            job_id = harness.post(harness.put(png()), announced=True)
            harness.wait_until_closed(job_id)
            assert worker.poll() is None
        finally:
            redis.delete("_kombu.binding.tag", "unacked", "unacked_index")


def test_a_worker_takes_no_orders_from_the_broker(harness, start):
    """Celery's remote control would let whoever reaches Redis shut workers down."""
    worker = start("worker")
    harness.wait_until(lambda: '"ready"' in harness.log.read_text(), "the worker is ready")
    assert harness.celery.control.ping(timeout=0.5) == []
    harness.celery.control.shutdown()
    job_id = harness.post(harness.put(png()), announced=True)
    harness.wait_until_closed(job_id)
    assert worker.poll() is None
