"""Start the local servers at the same time, stop them, and find them after a crash."""

import os
from collections.abc import Callable, Collection
from contextlib import ExitStack
from types import TracebackType

from facetag.disk_space import require_server_space
from facetag.settings import Settings
from facetag.standalone.announcements import announce_servers, withdraw_servers
from facetag.standalone.credentials import Credentials, load_credentials
from facetag.standalone.folder_lock import lock_folder
from facetag.standalone.folder_owner import require_own
from facetag.standalone.processes.environment import forget_database_variables
from facetag.standalone.processes.process import kill_leftovers
from facetag.standalone.servers.local_server import Folders, LocalServer
from facetag.standalone.servers.postgres import Postgres
from facetag.standalone.servers.seaweedfs import SeaweedFS
from facetag.standalone.servers.valkey import Valkey

OnEvent = Callable[[str], None]
"""Takes one line that tells a person what happens."""


def ignore_event(line: str) -> None:
    """Ignore the line."""


class LocalStack:
    """Run the servers whose URL the settings do not give, on `settings.data_dir`.

    Servers named in `without` are not started. A context manager. Nothing that it starts outlives
    this process: it is stopped at the end of the body, by the kernel if this process is killed
    (Linux), or by the next start on the folder.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        without: Collection[type[LocalServer]] = (),
        on_event: OnEvent = ignore_event,
    ) -> None:
        self.settings = settings
        self._without = frozenset(without)
        self.folders = Folders(settings.data_dir.expanduser().absolute())
        self.servers: list[LocalServer] = []
        self._on_event = on_event
        self._cleanup = ExitStack()

    def __enter__(self) -> "LocalStack":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(
        self,
        with_database: Callable[[], None] = lambda: None,
        *,
        with_folder: Callable[[], None] = lambda: None,
    ) -> dict[str, str]:
        """Start the servers, wait for them, and return `environment()`.

        `with_folder` is called first, once this process holds the folder and what an earlier run
        left is gone: it may start processes there. `with_database` is called once PostgreSQL and
        Valkey answer; meanwhile SeaweedFS, which takes longest, goes on starting. Raises DiskFull,
        DataFolderBusy, ServerMissing or LocalServerFailed, and what the two raise; no server runs
        then.
        """
        forget_database_variables(self.settings)
        require_own(self.folders.data_dir)
        require_server_space(self.folders.data_dir)
        self.folders.make()
        with ExitStack() as cleanup:
            cleanup.enter_context(lock_folder(self.folders.data_dir))
            credentials = load_credentials(self.folders.data_dir / "credentials.json")
            # The one that takes longest first.
            candidates: list[tuple[str | object | None, type[LocalServer]]] = [
                (self.settings.s3_endpoint_url, SeaweedFS),
                (self.settings.redis_url, Valkey),
                (self.settings.database_url, Postgres),
            ]
            self.servers = [
                self._make_server(kind, credentials)
                for given, kind in candidates
                if not given and kind not in self._without
            ]
            for server in self.servers:
                server.clear_leftovers()
            for name in kill_leftovers(self.folders.run):
                self._on_event(f"Stopped {name}, left over from a run that was killed")
            with_folder()
            cleanup.callback(self._stop_servers)
            if self.servers:
                titles = ", ".join(server.title for server in reversed(self.servers))
                self._on_event(f"Starting {titles}")
            for server in self.servers:
                server.start()
            storage = [server for server in self.servers if isinstance(server, SeaweedFS)]
            for server in self.servers:
                if server not in storage:
                    server.wait_ready()
            with_database()
            for server in storage:
                server.wait_ready()
                server.keep_clean()
            announce_servers(self.folders.run, self.environment())
            cleanup.callback(withdraw_servers, self.folders.run)
            self._cleanup = cleanup.pop_all()
        return self.environment()

    def stop(self) -> None:
        """Stop the servers and leave the folder; a second call does nothing."""
        self._cleanup.close()

    def environment(self) -> dict[str, str]:
        """Return the FACETAG_ variables that lead to the servers, the given ones included."""
        given = {
            "FACETAG_DATABASE_URL": self.settings.database_url,
            "FACETAG_REDIS_URL": self.settings.redis_url,
            "FACETAG_S3_ENDPOINT_URL": self.settings.s3_endpoint_url,
            "FACETAG_S3_ACCESS_KEY": self.settings.s3_access_key,
            "FACETAG_S3_SECRET_KEY": self.settings.s3_secret_key,
        }
        environment = {
            name: value if isinstance(value, str) else value.get_secret_value()
            for name, value in given.items()
            if value
        }
        environment["FACETAG_S3_BUCKET"] = self.settings.s3_bucket
        environment["FACETAG_DATA_DIR"] = os.fspath(self.folders.data_dir)
        for server in self.servers:
            environment |= server.environment()
        return environment

    def connected_settings(self) -> Settings:
        """Return the settings with the servers' URLs and keys filled in."""
        prefix = "FACETAG_"
        update = {
            name.removeprefix(prefix).lower(): value for name, value in self.environment().items()
        }
        return Settings.model_validate(self.settings.model_dump() | update)

    def api_environment(self) -> dict[str, str]:
        """Return `environment()` with the keys of an identity that may only touch photos."""
        environment = self.environment()
        for server in self.servers:
            if isinstance(server, SeaweedFS):
                environment |= server.api_environment()
        return environment

    def _make_server(self, kind: type[LocalServer], credentials: Credentials) -> LocalServer:
        if kind is SeaweedFS:
            return SeaweedFS(self.folders, credentials, bucket=self.settings.s3_bucket)
        return kind(self.folders, credentials)

    def _stop_servers(self) -> None:
        for server in self.servers:
            server.ask_to_stop()
        for server in self.servers:
            server.wait_stopped()
        self.servers = []
