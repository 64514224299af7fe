"""Runs a worker: a parent that listens for messages, and children that each hold a network."""

import logging
import os
import signal
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from celery import Celery, signals
from celery.exceptions import SecurityWarning

from facetag.database import make_engine, make_sessions, transaction
from facetag.errors import FacetagError
from facetag.queue import make_celery
from facetag.settings import Settings
from facetag.tables import Image
from worker.labelling import Labeller, LoadLabeller
from worker.process import WorkerProcess
from worker.stopping import GRACE_S, Stopping
from worker.tasks import add_tasks

LOAD_LIMIT_S = 900.0
"""How long a child may take to load and compile its network on a slow and busy machine."""
LOOK_S = 0.2

log = structlog.get_logger(__name__)


def run_worker(
    settings: Settings, *, concurrency: int = 1, load_labeller: LoadLabeller | None = None
) -> int:
    """Work until asked to stop; returns the exit status, 1 where the network cannot be loaded.

    `concurrency` children, each with its own network and its share of the cores. Raises
    SettingsInvalid, and DatabaseUnavailable where the database is away or has no tables.
    """
    check_database(settings)
    stopping = Stopping()
    app = make_worker_app(settings)
    process = WorkerProcess(
        settings,
        load_labeller or load_real_labeller,
        app,
        stopping,
        cores=max(1, available_cores() // concurrency),
    )
    add_tasks(app, process)
    _listen_to_signals(process, stopping)
    # Celery warns of root because of pickled messages, which make_celery does not accept.
    warnings.simplefilter("ignore", SecurityWarning)
    worker = app.Worker(
        pool="prefork",
        concurrency=concurrency,
        hostname=f"facetag-{os.getpid()}@{socket.gethostname()}",
        quiet=True,
        # Workers need not know of one another: each of these would keep Redis busy with news.
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    return 1 if stopping.failed else int(worker.exitcode or 0)


def make_worker_app(settings: Settings) -> Celery:
    """Make the Celery app with what only a process that consumes needs to have set."""
    app = make_celery(settings)
    app.conf.update(
        # A child reports that it is up once its network is loaded and warm. Celery's 4 s would
        # kill it while it loads, again and again.
        worker_proc_alive_timeout=LOAD_LIMIT_S,
        # Children are forked before any thread or network exists, and share `Stopping`.
        worker_pool="prefork",
        worker_pool_start_method="fork",
        worker_enable_remote_control=False,
        worker_redirect_stdouts=False,
    )
    return app


def check_database(settings: Settings) -> None:
    """Raise DatabaseUnavailable, saying what to do, where the tables cannot be read."""
    engine = make_engine(settings, pool_size=1)
    try:
        with transaction(make_sessions(engine)) as session:
            session.query(Image.id).limit(1).all()
    finally:
        engine.dispose()


def load_real_labeller(settings: Settings) -> Labeller:
    """Load the detector and the network; imports TensorFlow, so only children call it."""
    from vision.labeller import load_labeller

    return load_labeller(settings)


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def leave_when_asked(stopping: Stopping) -> Iterator[None]:
    """End this process as soon as it is to stop: while it loads, it holds nothing of value."""
    loaded = threading.Event()

    def watch() -> None:
        while not loaded.wait(LOOK_S):
            if stopping.asked:
                os._exit(0)

    watcher = threading.Thread(target=watch, name="leave", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        loaded.set()
        watcher.join()


def _listen_to_signals(process: WorkerProcess, stopping: Stopping) -> None:
    """Connect Celery's signals; `weak=False` as nothing else keeps these functions alive."""

    @signals.setup_logging.connect(weak=False)
    def keep_our_logging(**_: object) -> None:
        """Leave logging as facetag.log set it up: a receiver is all that Celery asks for."""
        # celery.apps.worker says "ready" before any child is.
        for chatty in ("celery.worker.strategy", "celery.app.trace", "celery.apps.worker"):
            logging.getLogger(chatty).setLevel(logging.WARNING)

    @signals.worker_process_init.connect(weak=False)
    def open_process(**_: object) -> None:
        """Runs in each child before it takes its first task."""
        try:
            with leave_when_asked(stopping):
                process.open()
        except FacetagError as error:
            log.error("cannot_start", reason=str(error))
        except Exception:
            log.exception("cannot_start")
        else:
            return
        # Celery would go on with a child that can do nothing. The whole worker ends instead.
        stopping.fail()
        os.kill(os.getppid(), signal.SIGTERM)

    @signals.worker_shutting_down.connect(weak=False)
    def stop_claiming(**_: object) -> None:
        """Runs in the parent's signal handler."""
        stopping.ask()
        log.info("stopping", grace_s=GRACE_S)
        last_word = threading.Timer(GRACE_S, os.kill, (os.getpid(), signal.SIGQUIT))
        last_word.daemon = True
        last_word.start()
