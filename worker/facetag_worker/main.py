"""Run a worker: a parent that receives messages, and children that each hold a network."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from uuid import UUID

import structlog
from celery import Celery

from facetag.cpu import available_cores
from facetag.errors import FacetagError
from facetag.labelling.photo_labels import LoadLabeller, PhotoLabeller
from facetag.queue.celery_app import QUEUE_PREDICT, QUEUE_TAG
from facetag.queue.consumer import Stopping, check_database, consume, make_consumer
from facetag.queue.task_names import TASK_ESTIMATE, TASK_LIST, TASK_TAG
from facetag.settings import Settings
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.inference.glibc_heap import set_up_heaps
from facetag_worker.child_process import WorkerProcess

LOAD_LIMIT_S = 900.0
"""How long a child may take to load and compile its network on a slow and busy machine."""
POLL_S = 0.2

log = structlog.get_logger(__name__)


def run_worker(
    settings: Settings, *, concurrency: int = 1, load_labeller: LoadLabeller | None = None
) -> int:
    """Work until asked to stop; return the exit status, which is 1 if the network cannot be loaded.

    There are `concurrency` children, each with its own network and its share of the cores. Raises
    SettingsInvalid, and DatabaseUnavailable if the database does not answer or has no tables.
    """
    set_up_heaps()
    check_database(settings)
    stopping = Stopping()
    app = make_worker_app(settings)
    # A fork gives each child a copy. Children import TensorFlow, if at all, after their fork.
    slots = CpuSlots.for_lanes(max(1, available_cores() // concurrency))
    slots.limit_tensorflow()
    load = load_labeller or partial(load_real_labeller, slots=slots)
    process = WorkerProcess(settings, load, app, stopping, slots)
    add_tasks(app, process)
    return consume(
        app,
        stopping,
        name="facetag",
        # Predictions come first, so that none waits behind the doorbells of jobs.
        queues=(QUEUE_PREDICT, QUEUE_TAG),
        concurrency=concurrency,
        open_child=lambda: open_process(process, stopping),
    )


def make_worker_app(settings: Settings) -> Celery:
    """Make the Celery app of a worker, whose children load networks."""
    app = make_consumer(settings)
    # A child reports that it is up once its network is warm. Celery's default of 4 s would kill
    # each child while it loads.
    app.conf.update(worker_proc_alive_timeout=LOAD_LIMIT_S)
    return app


def add_tasks(app: Celery, process: WorkerProcess) -> None:
    """Register the tasks of a worker, which `process` carries out."""

    @app.task(name=TASK_TAG)
    def tag(job_id: str) -> None:
        process.drain(UUID(job_id))

    @app.task(name=TASK_LIST)
    def list_prefix(job_id: str) -> None:
        process.list_prefix(UUID(job_id))

    @app.task(name=TASK_ESTIMATE)
    def estimate_shares(job_id: str) -> None:
        process.estimate_shares(UUID(job_id))


def load_real_labeller(settings: Settings, *, slots: CpuSlots) -> PhotoLabeller:
    """Load the detector and the network; only children call this, as neither survives a fork."""
    from facetag.vision.labeller import load_labeller

    return load_labeller(settings, slots)


@contextmanager
def leave_when_asked(stopping: Stopping) -> Iterator[None]:
    """End this process at once when asked to stop: while it loads, it holds no claims."""
    loaded = threading.Event()

    def watch() -> None:
        while not loaded.wait(POLL_S):
            if stopping.asked:
                os._exit(0)

    watcher = threading.Thread(target=watch, name="leave", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        loaded.set()
        watcher.join()


def open_process(process: WorkerProcess, stopping: Stopping) -> None:
    """Have a child load its network before it takes its first task."""
    try:
        with leave_when_asked(stopping):
            process.open()
    except FacetagError as error:
        log.error("cannot_start", reason=str(error))
    except Exception:
        log.exception("cannot_start")
    else:
        return
    # Celery would keep a child that can do nothing, so the whole worker ends.
    stopping.fail()
    os.kill(os.getppid(), signal.SIGTERM)
