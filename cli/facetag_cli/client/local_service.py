"""Run the whole service on one machine: the local servers and facetag's own processes."""

import functools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from facetag.bundles.bundle_folder import DEFAULT_FOLDER, check_weights, read_manifest
from facetag.cache_folder import cache_folder
from facetag.disk_space import (
    NO_SPACE_TEXTS,
    SPACE_TO_GO_ON,
    disk_full,
    find_full_disk,
    temporary_folder,
)
from facetag.errors import DiskFull, FacetagError, LocalServerFailed, ServiceUnavailable
from facetag.settings import Settings
from facetag.standalone.announcements import announce_service, answers, withdraw_service
from facetag.standalone.processes.environment import inherit, python_command, python_environment
from facetag.standalone.processes.process import ChildProcess, Command
from facetag.standalone.processes.supervisor import Supervisor
from facetag.standalone.servers.ports import LOOPBACK, find_free_ports, is_free
from facetag.standalone.stack import LocalStack, OnEvent, ignore_event
from facetag.vision.inference.graph_cache import COMPILED, GraphCache
from facetag_cli.client.idle_watch import IdleWatch

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

API_START_TIMEOUT_S = 60.0
API_START_ATTEMPTS = 4
FOUND_BEFORE_S = 1.0
WORKER_STOP_TIMEOUT_S = 75.0
"""How long a worker may take to stop: it finishes the chunk that it computes."""


class LocalService:
    """Run the service on `settings.data_dir` during the body of a `with` statement.

    Without `workers`, jobs can be read and changed, but none of their photos is labelled. The API
    listens on loopback, on `api_port` if that is given and free. With `announce`, other commands
    find the service (`find_running`). `lingers_for` is the digest of the settings of one that a
    command leaves for the next ones, and None for one that a person ends.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        workers: int = 1,
        trainer: bool = False,
        api_port: int | None = None,
        announce: bool = False,
        lingers_for: str | None = None,
        on_event: OnEvent = ignore_event,
    ) -> None:
        self.stack = LocalStack(settings, on_event=on_event)
        self.api_url = ""
        self.key: str | None = None
        self.environment: dict[str, str] = {}
        self._workers = workers
        self._trainer = trainer
        self._api_port = api_port
        self._announced = announce
        self._lingers_for = lingers_for
        self._on_event = on_event
        self._children: list[ChildProcess] = []
        self._api: ChildProcess
        self._supervisor: Supervisor | None = None
        self._faulty = threading.Event()
        self._cleanup = ExitStack()

    @property
    def logs_dir(self) -> Path:
        """The folder of the processes' logs."""
        return self.stack.folders.logs

    def __enter__(self) -> "LocalService":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if isinstance(error, FacetagError) and not isinstance(error, DiskFull):
            self._explain_full_disk(error)
            # The body saw only that the service went away; this is the reason.
            if self.fault is not None:
                raise LocalServerFailed(self.fault) from error

    def _explain_full_disk(self, error: FacetagError) -> None:
        """Raise DiskFull if servers or workers failed because a disk is full."""
        folders = [self.stack.folders.data_dir]
        if any(text in f"{error} {self.fault}" for text in NO_SPACE_TEXTS):
            folders += [temporary_folder(), cache_folder()]
        elif not isinstance(error, ServiceUnavailable | LocalServerFailed):
            return
        full = find_full_disk(folders, SPACE_TO_GO_ON)
        if full is not None:
            raise disk_full(
                full, SPACE_TO_GO_ON, use="the service", remedy="give a folder on another disk"
            ) from error

    @property
    def fault(self) -> str | None:
        """The reason why the service gave up; None while it runs."""
        return self._supervisor.fault if self._supervisor else None

    def start(self) -> None:
        """Start the servers, update the tables, create the bucket, and start our processes.

        Return once the API answers. The worker may still load its network; jobs wait for it. After
        an error nothing runs. Raise BundleInvalid for a bundle that no worker could load,
        DatabaseUnavailable or StorageUnavailable if a server of the settings does not answer, and
        the errors of `LocalStack.start`.
        """
        if self._workers:
            self._check_bundle()
        with ExitStack() as cleanup:
            cleanup.callback(self.stack.stop)
            cleanup.callback(self._stop_children)
            self.stack.start(
                self._start_beside, with_folder=functools.partial(self._trace_ahead, cleanup)
            )
            if self.environment != self._child_environment():
                # A port of storage was taken, so it has another one now.
                self._stop_children()
                self._start_beside()
            self._prepare_storage()
            self._wait_for_api()
            if self._workers:
                # Starts last: no new job waits for it.
                self._start_child("sweep", [], 10.0, signal.SIGKILL)
            self._supervise(cleanup)
            if self._announced:
                self._announce()
                cleanup.callback(withdraw_service, self.stack.folders.data_dir)
            self._cleanup = cleanup.pop_all()

    def _start_beside(self) -> None:
        """Update the tables and start our processes, while storage still starts."""
        self._prepare_tables()
        self.environment = self._child_environment()
        self._on_event(
            "Starting the API, a worker and the sweeper" if self._workers else "Starting the API"
        )
        options = [f"--concurrency={self._workers}", f"--min-face={self.stack.settings.min_face}"]
        # Starts first, since it loads its network. SIGTERM at our death lets it finish its chunk.
        if self._workers:
            self._start_child("worker", options, WORKER_STOP_TIMEOUT_S, signal.SIGTERM)
        if self._trainer:
            self._start_child(
                "worker",
                ["--trainer"],
                WORKER_STOP_TIMEOUT_S,
                signal.SIGTERM,
                title="trainer",
                inherited=("KERAS_BACKEND",),
            )
        self._start_api()

    def _trace_ahead(self, cleanup: ExitStack) -> None:
        """Start to prepare the network, if none is kept; the worker waits for it or does it."""
        settings = self.stack.settings
        if self._workers and GraphCache.of(settings).lacks(COMPILED):
            child = self._make_child("warm", [], 1.0, signal.SIGKILL, python_environment(settings))
            cleanup.callback(child.stop)
            child.start()

    def stop(self) -> None:
        """Stop our processes, then the servers; do nothing if they are stopped."""
        self._cleanup.close()

    def wait(self, is_over: Callable[[], bool] = lambda: False) -> None:
        """Wait until `is_over`, by default without end.

        Raises LocalServerFailed once the service has given up.
        """
        # The timeout lets Python handle signals.
        while not self._faulty.wait(timeout=1.0):
            if is_over():
                return
        raise LocalServerFailed(self.fault or "The service has ended.")

    def wait_until_idle(self, linger_s: float) -> None:
        """Wait until nobody has used the service for `linger_s`; raises as `wait` does."""
        folders = self.stack.folders
        watch = IdleWatch(
            folders.run, folders.logs / "api.log", self._has_open_jobs, linger_s=linger_s
        )
        while True:
            self.wait(watch.is_over)
            # Whoever found the service before this has a second to say so.
            withdraw_service(folders.data_dir)
            time.sleep(FOUND_BEFORE_S)
            if not watch.is_used():
                return
            self._announce()

    def _announce(self) -> None:
        announce_service(self.stack.folders.data_dir, self.api_url, lingers_for=self._lingers_for)

    def _has_open_jobs(self) -> bool:
        from facetag.jobs.queries import has_open_jobs

        with self._open_database() as session:
            return has_open_jobs(session)

    def _child_environment(self) -> dict[str, str]:
        return python_environment(
            self.stack.settings,
            PYTHONUNBUFFERED="1",
            # The API must know it too: it says which results may be reused.
            FACETAG_MIN_FACE=str(self.stack.settings.min_face),
            # Keras reads its settings from the user's home otherwise.
            KERAS_HOME=str(self.stack.folders.run / "keras"),
            **self.stack.environment(),
        )

    def _check_bundle(self) -> None:
        # Without this check the error comes only after minutes of workers that end and restart.
        folder = self.stack.settings.bundle or DEFAULT_FOLDER
        check_weights(folder, read_manifest(folder))

    def make_page_link(self) -> str:
        """Return a link that opens the page in a browser once."""
        from facetag.standalone.local_key import make_page_link

        with self._open_database() as session:
            return make_page_link(session, self.api_url, tenant_id=self.stack.settings.tenant_id)

    def _prepare_tables(self) -> None:
        from facetag.db.engine import migrate
        from facetag.standalone.key_file import read_local_key
        from facetag.standalone.local_key import keep_local_key

        settings = self.stack.connected_settings()
        self._on_event("Bringing the tables up to date")
        migrate(settings.require("database_url"))
        with self._open_database() as session:
            keep_local_key(session, settings.data_dir, tenant_id=settings.tenant_id)
            if self.stack.settings.database_url is None:
                self._end_leases(session)
        self.key = read_local_key(settings.data_dir)

    def _end_leases(self, session: "Session") -> None:
        """Free what workers held when this PostgreSQL last ended: they died with it."""
        from facetag.jobs.lifecycle import end_all_leases
        from facetag.retraining.retraining_lease import end_retraining_leases

        if self._workers:
            end_all_leases(session)
        if self._trainer:
            end_retraining_leases(session)

    def _prepare_storage(self) -> None:
        from facetag.storage.client import make_storage

        make_storage(self.stack.connected_settings()).ensure_bucket()

    def _admit_page(self) -> None:
        """Let the page send photos to object storage from the port that the API has now."""
        from facetag.storage.client import make_storage

        port = {"api_port": urlsplit(self.api_url).port}
        make_storage(self.stack.connected_settings().model_copy(update=port)).ensure_bucket()

    @contextmanager
    def _open_database(self) -> "Iterator[Session]":
        from facetag.db.engine import make_engine, make_sessions, transaction

        engine = make_engine(self.stack.connected_settings(), pool_size=1)
        try:
            with transaction(make_sessions(engine)) as session:
                yield session
        finally:
            engine.dispose()

    def _start_api(self) -> ChildProcess:
        wanted = self._api_port
        free = wanted is not None and is_free(wanted)
        port = wanted if wanted is not None and free else find_free_ports(1)[0]
        self.api_url = f"http://{LOOPBACK}:{port}"
        options = [f"--host={LOOPBACK}", f"--port={port}"]
        keys = self.stack.api_environment()
        self._api = self._start_child("api", options, 15.0, signal.SIGKILL, environment=keys)
        return self._api

    def _wait_for_api(self) -> None:
        api = self._api
        for _ in range(API_START_ATTEMPTS):
            # Another service may have taken the port: only ours knows our key.
            if api.wait_until(
                lambda: answers(self.api_url, "/v1/caller", self.key), API_START_TIMEOUT_S
            ):
                self._admit_page()
                return
            # The port was taken: try another one.
            self._children.remove(api)
            api = self._start_api()
        raise LocalServerFailed(f"The API did not start.\n{api.log_tail()}")

    def _start_child(
        self,
        name: str,
        options: list[str],
        stop_timeout_s: float,
        death_signal: int,
        *,
        title: str | None = None,
        inherited: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
    ) -> ChildProcess:
        whole = self.environment | inherit(*inherited) | (environment or {})
        child = self._make_child(name, options, stop_timeout_s, death_signal, whole, title=title)
        self._children.append(child)
        child.start()
        return child

    def _make_child(
        self,
        name: str,
        options: list[str],
        stop_timeout_s: float,
        death_signal: int,
        environment: dict[str, str],
        *,
        title: str | None = None,
    ) -> ChildProcess:
        command = Command(
            name=title or name,
            arguments=[*python_command(), "facetag_cli.main", name, *options],
            # Relative paths in the settings then mean the same as in this process.
            folder=Path.cwd(),
            environment=environment,
            stop_timeout_s=stop_timeout_s,
            death_signal=death_signal,
        )
        return ChildProcess(command, run_dir=self.stack.folders.run, logs_dir=self.logs_dir)

    def _supervise(self, cleanup: ExitStack) -> None:
        # A person who runs the service keeps its jobs and results while no worker can live. Where a
        # command waits for the worker alone, it must learn that it waits in vain.
        can_wait = self._announced and self._lingers_for is None
        spare = [child for child in self._children if can_wait and child is not self._api]
        needed = [child for child in self._children if child not in spare]
        self._supervisor = Supervisor(
            [*self.stack.servers, *needed],
            spare=spare,
            on_event=self._on_event,
            on_fault=self._give_up,
        )
        self._supervisor.start()
        cleanup.callback(self._supervisor.stop)

    def _give_up(self) -> None:
        # Clients that wait for the API then fail at once.
        for child in self._children:
            child.ask_to_stop()
        self._faulty.set()

    def _stop_children(self) -> None:
        for child in self._children:
            child.ask_to_stop()
        for child in self._children:
            child.wait_stopped()
        self._children = []
