"""Run a process that takes messages: a parent that listens and forked children that work."""

import logging
import mmap
import os
import signal
import socket
import threading
import warnings
from collections.abc import Callable, Sequence

import structlog
from billiard.util import get_logger
from celery import Celery, signals
from celery.exceptions import SecurityWarning

from facetag.db.engine import make_engine, make_sessions, transaction
from facetag.db.tables import Image
from facetag.queue.celery_app import make_celery
from facetag.settings import Settings

GRACE_S = 60.0
"""Seconds that present work may go on after a worker is asked to stop."""

_ASKED, _FAILED = 1, 2

log = structlog.get_logger(__name__)


class Stopping:
    """Tell all processes of a worker to stop, by memory that is shared with forked children.

    It is a plain byte without a lock, because a killed child could leave a lock behind.
    """

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    @property
    def asked(self) -> bool:
        """Return whether this worker must claim nothing more."""
        return self._byte[0] != 0

    @property
    def failed(self) -> bool:
        """Return whether the worker stops because a child could not start."""
        return self._byte[0] == _FAILED

    def ask(self) -> None:
        """Ask every process of this worker to stop; an earlier failure is kept."""
        self._byte[0] = self._byte[0] or _ASKED

    def fail(self) -> None:
        """Ask every process to stop because this worker cannot work."""
        self._byte[0] = _FAILED


def make_consumer(settings: Settings) -> Celery:
    """Make the Celery app with the settings that only consumers need."""
    app = make_celery(settings)
    app.conf.update(
        # Children are forked before any thread or network exists, and share `Stopping`.
        worker_pool="prefork",
        worker_pool_start_method="fork",
        worker_enable_remote_control=False,
        worker_redirect_stdouts=False,
    )
    return app


def consume(
    app: Celery,
    stopping: Stopping,
    *,
    name: str,
    queues: Sequence[str],
    concurrency: int = 1,
    open_child: Callable[[], None],
) -> int:
    """Answer the messages of `queues`, the first queue first, until asked to stop.

    `open_child` runs in each child before its first task. Returns the exit status: 1 if `stopping`
    says that the worker has failed.
    """
    _listen_to_signals(stopping, open_child)
    # Celery warns about root because of pickles, which make_celery does not accept.
    warnings.simplefilter("ignore", SecurityWarning)
    worker = app.Worker(
        pool="prefork",
        concurrency=concurrency,
        queues=list(queues),
        hostname=f"{name}-{os.getpid()}@{socket.gethostname()}",
        quiet=True,
        # Workers need not know of one another, and each of these would keep Redis busy.
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    return 1 if stopping.failed else int(worker.exitcode or 0)


def check_database(settings: Settings) -> None:
    """Raise DatabaseUnavailable if the tables cannot be read."""
    engine = make_engine(settings, pool_size=1)
    try:
        with transaction(make_sessions(engine)) as session:
            session.query(Image.id).limit(1).all()
    finally:
        engine.dispose()


def _listen_to_signals(stopping: Stopping, open_child: Callable[[], None]) -> None:
    """Connect Celery's signals. `weak=False` keeps these functions alive."""

    @signals.setup_logging.connect(weak=False)
    def keep_our_logging(**_: object) -> None:
        """Keep the logging of facetag.log: with a receiver, Celery does not set up its own."""
        # billiard's logger would write what it says of dead children past ours, as plain text.
        get_logger().propagate = True
        # celery.apps.worker logs "ready" before any child is ready.
        for chatty in ("celery.worker.strategy", "celery.app.trace", "celery.apps.worker"):
            logging.getLogger(chatty).setLevel(logging.WARNING)

    @signals.worker_process_init.connect(weak=False)
    def open_process(**_: object) -> None:
        open_child()

    @signals.worker_shutting_down.connect(weak=False)
    def stop_claiming(**_: object) -> None:
        """Stop claiming. This runs in the parent's signal handler."""
        stopping.ask()
        log.info("stopping", grace_s=GRACE_S)
        last_word = threading.Timer(GRACE_S, os.kill, (os.getpid(), signal.SIGQUIT))
        last_word.daemon = True
        last_word.start()
