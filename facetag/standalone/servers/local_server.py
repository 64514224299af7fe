"""Start a local server, wait for it, try other ports, and stop it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from facetag.errors import LocalServerFailed
from facetag.standalone.credentials import Credentials
from facetag.standalone.folder_owner import require_own, unusable
from facetag.standalone.processes.process import ChildProcess, Command
from facetag.standalone.servers.ports import find_free_ports

START_ATTEMPTS = 4
START_TIMEOUT_S = 60.0
"""Far longer than usual, for a busy machine or the recovery of a large database."""


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders within a data folder."""

    data_dir: Path

    @property
    def run(self) -> Path:
        """The folder for records of running processes and for their configuration."""
        return self.data_dir / "run"

    @property
    def logs(self) -> Path:
        """The folder with one log per process."""
        return self.data_dir / "logs"

    def make(self) -> None:
        """Make the folders, readable for their owner only; raise LocalServerFailed on failure."""
        require_own(self.data_dir)
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            self.data_dir.chmod(0o700)
            self.run.mkdir(mode=0o700, exist_ok=True)
            self.logs.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise unusable(self.data_dir, error) from error


class LocalServer(ABC):
    """A local server; it gets new ports at every start."""

    title: str
    port_count: int

    def __init__(self, folders: Folders, credentials: Credentials) -> None:
        self.folders = folders
        self.credentials = credentials
        self.ports: list[int] = []
        self._child: ChildProcess | None = None

    @abstractmethod
    def prepare(self) -> Command:
        """Prepare the server for its ports and return its command."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Return whether the server answers and can be used."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """Return the settings that lead to this server."""

    @abstractmethod
    def clear_leftovers(self) -> None:
        """Remove files and processes of a crash that would block the next start."""

    @property
    def child(self) -> ChildProcess:
        """The server's process; raise RuntimeError before `start()`."""
        if self._child is None:
            raise RuntimeError(f"{self.title} was not started")
        return self._child

    def has_started(self) -> bool:
        """Return whether the server was started and still runs."""
        return self._child is not None and self._child.exit_status is None

    def start(self) -> None:
        """Start the server on free ports and return at once."""
        self.ports = find_free_ports(self.port_count)
        self._start()

    def restart(self) -> None:
        """Start the server again on the same ports and return at once."""
        self.clear_leftovers()
        self._start()

    def _start(self) -> None:
        child = ChildProcess(self.prepare(), run_dir=self.folders.run, logs_dir=self.folders.logs)
        try:
            child.start()
        except BaseException:
            # It may run by now, and only its record could not be written.
            child.stop()
            raise
        # A child that did not start would read as one that runs.
        self._child = child

    def wait_ready(self) -> None:
        """Wait until the server can be used; start it again if it ends, as for a taken port.

        Raise LocalServerFailed with the end of the log after START_ATTEMPTS, or START_TIMEOUT_S.
        """
        attempts = 1
        while not self.child.wait_until(self.is_ready, START_TIMEOUT_S):
            if attempts == START_ATTEMPTS:
                raise LocalServerFailed(
                    f"{self.title} did not start (exit status {self.child.exit_status}).\n"
                    f"{self.child.log_tail()}"
                )
            self.clear_leftovers()
            self.start()
            attempts += 1

    @property
    def exit_status(self) -> int | None:
        """The process's exit status, negative for a signal; None while it runs."""
        return self.child.exit_status

    def log_tail(self) -> str:
        """Return the path and the last lines of the server's log."""
        return self.child.log_tail()

    def ask_to_stop(self) -> None:
        """Send the stop signal and return at once."""
        if self._child is not None:
            self._child.ask_to_stop()

    def wait_stopped(self) -> None:
        """Wait for the end and remove leftovers."""
        if self._child is not None:
            self._child.wait_stopped()
            self.clear_leftovers()
            self._child = None
