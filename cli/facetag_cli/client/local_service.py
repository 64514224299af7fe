"""The whole service on one machine: the local servers, and facetag's own processes on top."""

import os
import signal
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from facetag.bundles.folder import DEFAULT_FOLDER, check_weights, read_manifest
from facetag.errors import FacetagError, LocalServerFailed
from facetag.settings import Settings
from facetag.standalone.announcements import announce_service, answers, withdraw_service
from facetag.standalone.processes.process import ChildProcess, Command
from facetag.standalone.processes.supervisor import Supervisor
from facetag.standalone.servers.ports import LOOPBACK, find_free_ports, is_free
from facetag.standalone.stack import LocalStack, OnEvent, ignore_event

API_START_TIMEOUT_S = 60.0
API_START_ATTEMPTS = 4
WORKER_STOP_TIMEOUT_S = 75.0
"""A worker that is asked to stop first finishes the chunk that it computes."""


class LocalService:
    """Runs everything on `settings.data_dir` for as long as the body of a `with` statement runs.

    The API listens on loopback, on `api_port` if it is given and free. With `announce` other
    commands find the service (`find_running`): only for one that stays until somebody ends it.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        workers: int = 1,
        trainer: bool = False,
        api_port: int | None = None,
        announce: bool = False,
        on_event: OnEvent = ignore_event,
    ) -> None:
        self.stack = LocalStack(settings, on_event=on_event)
        self.api_url = ""
        self.environment: dict[str, str] = {}
        self._workers = workers
        self._trainer = trainer
        self._api_port = api_port
        self._announce = announce
        self._on_event = on_event
        self._children: list[ChildProcess] = []
        self._supervisor: Supervisor | None = None
        self._faulty = threading.Event()
        self._cleanup = ExitStack()

    @property
    def logs_dir(self) -> Path:
        """Where each process's log is."""
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
        # Whoever used the service saw no more than that it went away: here is why.
        if isinstance(error, FacetagError) and self.fault is not None:
            raise LocalServerFailed(self.fault) from error

    @property
    def fault(self) -> str | None:
        """Why the service gave up; None while all is well."""
        return self._supervisor.fault if self._supervisor else None

    def start(self) -> None:
        """Start the servers, bring the tables up to date, make the bucket, start our processes.

        Returns once the API answers; the worker may still load its network, and jobs wait for it.
        Raises BundleInvalid for a bundle that no worker could load, what `LocalStack.start` raises,
        and DatabaseUnavailable or StorageUnavailable where a server that the settings name does
        not answer. Nothing runs then.
        """
        self._check_bundle()
        with ExitStack() as cleanup:
            cleanup.enter_context(self.stack)
            self._prepare_servers()
            self.environment = dict(os.environ) | self.stack.environment()
            self.environment |= {"PYTHONUNBUFFERED": "1"}
            cleanup.callback(self._stop_children)
            self._on_event("Starting the API, a worker and the sweeper")
            options = [
                f"--concurrency={self._workers}",
                f"--min-face={self.stack.settings.min_face}",
            ]
            # It takes seconds to load its network: first. It ends what it began when we are killed.
            self._start_child("worker", options, WORKER_STOP_TIMEOUT_S, signal.SIGTERM)
            if self._trainer:
                self._start_child(
                    "worker",
                    ["--trainer"],
                    WORKER_STOP_TIMEOUT_S,
                    signal.SIGTERM,
                    title="trainer",
                )
            self._start_child("sweep", [], 10.0, signal.SIGKILL)
            self._start_api()
            self._supervise(cleanup)
            if self._announce:
                announce_service(self.stack.folders.data_dir, self.api_url)
                cleanup.callback(withdraw_service, self.stack.folders.data_dir)
            self._cleanup = cleanup.pop_all()

    def stop(self) -> None:
        """Stop our processes, then the servers; a second call does nothing."""
        self._cleanup.close()

    def wait(self) -> None:
        """Return only by an exception: LocalServerFailed where the service gave up."""
        # Python takes signals between waits.
        while not self._faulty.wait(timeout=1.0):
            pass
        raise LocalServerFailed(self.fault or "The service has ended.")

    def _check_bundle(self) -> None:
        # What no worker can load is told now, not after minutes of workers that end and come again.
        folder = self.stack.settings.bundle or DEFAULT_FOLDER
        check_weights(folder, read_manifest(folder))

    def _prepare_servers(self) -> None:
        from facetag.db.engine import migrate
        from facetag.storage.client import make_storage

        settings = self.stack.connected_settings()
        self._on_event("Bringing the tables up to date")
        migrate(settings.require("database_url"))
        make_storage(settings).ensure_bucket()

    def _start_api(self) -> None:
        for _ in range(API_START_ATTEMPTS):
            wanted = self._api_port
            free = wanted is not None and is_free(wanted)
            port = wanted if wanted is not None and free else find_free_ports(1)[0]
            self.api_url = f"http://{LOOPBACK}:{port}"
            options = [f"--host={LOOPBACK}", f"--port={port}"]
            child = self._start_child("api", options, 15.0, signal.SIGKILL)
            if child.wait_until(lambda: answers(self.api_url), API_START_TIMEOUT_S):
                return
            # Another process may have taken the port since.
            self._children.remove(child)
        raise LocalServerFailed(f"The API does not start.\n{child.log_tail()}")

    def _start_child(
        self,
        name: str,
        options: list[str],
        stop_timeout_s: float,
        death_signal: int,
        *,
        title: str | None = None,
    ) -> ChildProcess:
        # -P: a file in the current folder named as one of our modules is not ours.
        program = [sys.executable, "-P", "-m", "facetag_cli.main", name]
        command = Command(
            name=title or name,
            arguments=[*program, *options],
            # Relative paths in the settings mean the same as here.
            folder=Path.cwd(),
            environment=self.environment,
            stop_timeout_s=stop_timeout_s,
            death_signal=death_signal,
        )
        child = ChildProcess(command, run_dir=self.stack.folders.run, logs_dir=self.logs_dir)
        self._children.append(child)
        child.start()
        return child

    def _supervise(self, cleanup: ExitStack) -> None:
        self._supervisor = Supervisor(
            [*self.stack.servers, *self._children],
            on_event=self._on_event,
            on_fault=self._give_up,
        )
        self._supervisor.start()
        cleanup.callback(self._supervisor.stop)

    def _give_up(self) -> None:
        # Clients that wait for the API learn that there is nothing to wait for.
        for child in self._children:
            child.ask_to_stop()
        self._faulty.set()

    def _stop_children(self) -> None:
        for child in self._children:
            child.ask_to_stop()
        for child in self._children:
            child.wait_stopped()
        self._children = []
