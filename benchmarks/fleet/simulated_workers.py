"""Run many worker processes that label by sleeping, on real servers and doorbells."""

import base64
import importlib
import json
import multiprocessing
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import redis

from facetag.log import configure_logging
from facetag.queue.celery_app import QUEUE_PREDICT, QUEUE_TAG, make_celery
from facetag.queue.consumer import Stopping
from facetag.settings import Settings
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag_worker.child_process import WorkerProcess
from facetag_worker.fakes import FakeLabeller

_FORK = multiprocessing.get_context("fork")
PARENTS_MODULES = ("celery.canvas", "celery.result", "kombu.transport.redis", "pillow_jxl")
"""What Celery's parent and the decoder have imported before a worker's child is forked."""


@contextmanager
def run_fleet(settings: Settings, workers: int, *, photo_s: float) -> Iterator[None]:
    """Run so many worker processes, each with a pipeline of its own, until the body ends.

    They are forked from this process, which must hold no connection, and take doorbells from Redis
    as Celery's consumers do. Only Celery's parents are missing: 200 of them would fill the memory.
    """
    for name in PARENTS_MODULES:
        importlib.import_module(name)
    ready = _FORK.Semaphore(0)
    fleet = [
        _FORK.Process(target=_serve, args=(settings, photo_s, ready), daemon=True)
        for _ in range(workers)
    ]
    for process in fleet:
        process.start()
        # Two hundred that connect in one moment are not what is measured.
        time.sleep(0.05)
    try:
        for _ in fleet:
            if not ready.acquire(timeout=120):
                raise RuntimeError("a simulated worker did not start")
        yield
    finally:
        for process in fleet:
            process.kill()
        for process in fleet:
            process.join()


def _serve(
    settings: Settings, photo_s: float, ready: "multiprocessing.synchronize.Semaphore"
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    configure_logging(level="error")
    process = WorkerProcess(
        settings,
        lambda _settings: FakeLabeller(photo_s),
        make_celery(settings),
        Stopping(),
        CpuSlots.for_lanes(1),
    )
    process.open()
    ready.release()
    with redis.Redis.from_url(settings.require("redis_url"), socket_timeout=None) as client:
        while True:
            taken = client.brpop([QUEUE_PREDICT, QUEUE_TAG], timeout=5)
            if taken is not None:
                process.drain(_job_of(taken[1]))


def _job_of(message: bytes) -> UUID:
    """Return the job's id from a message as Celery sends it: arguments in base64 in JSON."""
    arguments, *_ = json.loads(base64.b64decode(json.loads(message)["body"]))
    return UUID(arguments[0])
