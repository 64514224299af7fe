"""A whole service of a test's own, each process of which may be killed and is started again."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from redis import Redis
from sqlalchemy import text

from facetag.db.engine import migrate, transaction
from facetag.errors import DatabaseUnavailable
from facetag.settings import Settings
from facetag.standalone.announcements import answers
from facetag.standalone.processes.process import ChildProcess, Command
from facetag.standalone.servers.local_server import LocalServer
from facetag.standalone.servers.ports import LOOPBACK, find_free_ports
from facetag.standalone.servers.postgres import Postgres
from facetag.standalone.servers.seaweedfs import SeaweedFS
from facetag.standalone.servers.valkey import Valkey
from facetag.standalone.stack import LocalStack
from tests.integration.worker.harness import ROOT, Harness, environment
from tests.unsynced_postgres import stop_syncing

FAKE_WORKER = ("-m", "tests.integration.worker.fake_worker")
REAL_WORKER = ("-m", "facetag_cli.main", "worker")
PATIENCE_S = 60.0


class FaultHarness:
    """Servers, workers and a sweeper below a folder; a context manager.

    Workers and sweeper that end are started again at once, as under a supervisor; servers are
    brought back by whoever took them away.
    """

    def __init__(self, folder: Path, **settings: Any) -> None:
        self._stack = LocalStack(Settings(data_dir=folder))
        self._wanted = settings
        self._tended: dict[str, ChildProcess] = {}
        self._tending = threading.Lock()
        self._quit = threading.Event()
        self._tender = threading.Thread(target=self._tend, daemon=True)
        self.harness: Harness

    def __enter__(self) -> "FaultHarness":
        self._stack.start()
        stop_syncing(self._stack)
        settings = self._stack.connected_settings().model_copy(update=self._wanted)
        migrate(settings.require("database_url"))
        self.harness = Harness(settings)
        self.harness.storage.ensure_bucket()
        self._tender.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._quit.set()
        self._tender.join()
        for child in self._tended.values():
            if child.pid is not None and child.exit_status is None:
                os.killpg(child.pid, signal.SIGKILL)
            child.wait_stopped()
        self.harness.sessions.kw["bind"].dispose()
        self._stack.stop()

    # Processes of ours

    def start(self, name: str, *arguments: str) -> ChildProcess:
        """Start a program of ours, and again whenever it ends."""
        command = Command(
            name=name,
            arguments=[sys.executable, *arguments],
            folder=ROOT,
            environment=os.environ | environment(self.harness.settings),
        )
        folders = self._stack.folders
        child = ChildProcess(command, run_dir=folders.run, logs_dir=folders.logs)
        with self._tending:
            child.start()
            self._tended[name] = child
        return child

    def start_workers(
        self, number: int, *arguments: str, program: Sequence[str] = FAKE_WORKER
    ) -> None:
        for each in range(number):
            self.start(f"worker-{each}", *program, *arguments)

    def start_sweeper(self) -> None:
        self.start("sweeper", "-m", "facetag_cli.main", "sweep")

    def start_api(self) -> str:
        (port,) = find_free_ports(1)
        url = f"http://{LOOPBACK}:{port}"
        child = self.start("api", "-m", "facetag_cli.main", "api", f"--port={port}")
        assert child.wait_until(lambda: answers(url), PATIENCE_S)
        return url

    @contextmanager
    def serve_api(self, *, timeout_s: float) -> Iterator[httpx.Client]:
        """Start the API, and yield a client of it that has a key."""
        with httpx.Client(
            base_url=self.start_api(),
            headers=self.harness.make_key(),
            timeout=timeout_s,
            trust_env=False,
        ) as client:
            yield client

    def stop(self, *names: str) -> None:
        """End programs of ours for good, all at the same time."""
        with self._tending:
            children = [self._tended.pop(name) for name in names]
        for child in children:
            child.ask_to_stop()
        for child in children:
            child.wait_stopped()

    def kill(self, name: str) -> None:
        """End a program of ours for good, at once."""
        with self._tending:
            child = self._tended.pop(name)
        os.killpg(child.pid or 0, signal.SIGKILL)
        child.wait_stopped()

    def stop_workers(self) -> None:
        self.stop(*[name for name in self._tended if name.startswith("worker-")])

    def stop_all(self) -> None:
        self.stop(*self._tended)

    def empty(self) -> None:
        """Forget all jobs, and every doorbell."""
        self.ask("WITH gone AS (DELETE FROM jobs RETURNING 1) SELECT count(*) FROM gone")
        with self.redis as redis:
            redis.flushall()

    @property
    def workers(self) -> list[ChildProcess]:
        return [child for name, child in self._tended.items() if name.startswith("worker-")]

    @property
    def sweeper(self) -> ChildProcess | None:
        return self._tended.get("sweeper")

    def children(self, worker: ChildProcess) -> list[psutil.Process]:
        """Return a worker's own processes, which hold the networks."""
        try:
            return psutil.Process(worker.pid).children()
        except psutil.NoSuchProcess:
            return []

    def log(self, name: str) -> str:
        path = self._tended[name].log
        return path.read_text(errors="replace") if path.exists() else ""

    def wait(
        self, condition: Callable[[], bool], what: str, patience_s: float = PATIENCE_S
    ) -> None:
        until = time.monotonic() + patience_s
        while not condition():
            assert time.monotonic() < until, f"waited in vain until {what}"
            time.sleep(0.1)

    # Servers

    @property
    def valkey(self) -> LocalServer:
        return self._server(Valkey)

    @property
    def postgres(self) -> LocalServer:
        return self._server(Postgres)

    @property
    def seaweedfs(self) -> LocalServer:
        return self._server(SeaweedFS)

    @property
    def redis(self) -> "Redis[Any]":
        return Redis.from_url(self.harness.settings.require("redis_url"), socket_timeout=5)

    def end(self, server: LocalServer, number: int = signal.SIGKILL) -> None:
        """End a server at once, and wait until it is gone."""
        os.kill(server.child.pid or 0, number)
        self.wait(lambda: server.exit_status is not None, f"{server.title} is gone")

    def bring_back(self, server: LocalServer) -> None:
        """Start a server again, on its ports and its files, and wait until it answers."""
        server.restart()
        while not server.child.wait_until(server.is_ready, PATIENCE_S):
            server.restart()

    # What the database says

    def ask(self, query: str, **values: Any) -> Any:
        """Return one value, over an outage of the database if need be."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                with transaction(self.harness.sessions) as session:
                    return session.execute(text(query), values).scalar()
            except DatabaseUnavailable:
                assert time.monotonic() < until
                time.sleep(0.2)

    def finished(self) -> int:
        """Return how many images have reached the end, of all jobs."""
        query = "SELECT count(*) FROM images WHERE state NOT IN ('queued', 'running')"
        return int(self.ask(query))

    def _server(self, kind: type[LocalServer]) -> LocalServer:
        (server,) = [one for one in self._stack.servers if isinstance(one, kind)]
        return server

    def _tend(self) -> None:
        while not self._quit.wait(0.3):
            with self._tending:
                for child in self._tended.values():
                    if child.exit_status is not None:
                        child.restart()


def with_lease(lease_s: float) -> dict[str, Any]:
    """Return settings by which faults are recovered from in seconds."""
    return {"lease_s": lease_s, "sweep_interval_s": lease_s / 5, "chunk_images": 8, "drain_s": 20.0}
