"""Run child processes that log to a file, end with their parent, and are found after a crash."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from facetag.errors import LocalServerFailed
from facetag.standalone.processes import parent_death
from facetag.standalone.processes.account import Account
from facetag.standalone.processes.process_record import describe_process, is_described

LOG_BYTES = 10 * 2**20
"""A larger log is renamed when its process starts; one older log is kept."""

LOG_TAIL_LINES = 8


@dataclass(frozen=True, slots=True)
class Command:
    """The command of a child; it gets `death_signal` if its parent ends without stopping it."""

    name: str
    arguments: Sequence[str | Path]
    folder: Path
    environment: Mapping[str, str]
    stop_signal: int = signal.SIGTERM
    stop_timeout_s: float = 10.0
    death_signal: int = signal.SIGKILL
    account: Account | None = None
    descriptors: Sequence[int] = field(default=())


class ChildProcess:
    """A child process; a record in `run_dir` lets the next start find it after a crash."""

    def __init__(self, command: Command, *, run_dir: Path, logs_dir: Path) -> None:
        self.command = command
        self.log = logs_dir / f"{command.name}.log"
        self._record = run_dir / f"{command.name}.json"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def title(self) -> str:
        """The name that messages use."""
        return f"The {self.command.name} process"

    @property
    def pid(self) -> int | None:
        """The process id; None before the start."""
        return self._process.pid if self._process else None

    @property
    def exit_status(self) -> int | None:
        """The exit status, negative for a signal; None while the process runs.

        When the process has ended, all processes that it left behind are killed first.
        """
        process = self._process
        if process is None or process.returncode is not None:
            return process.returncode if process else None
        if _has_ended(process.pid):
            # The process is not reaped yet, so no other process group can have its id.
            _kill_group(process.pid)
            process.wait()
        return process.returncode

    def start(self) -> None:
        """Start the process in a session of its own, so that only the parent gets Ctrl-C."""
        _put_aside(self.log)
        # The kernel sends the signal when the *thread* that forked ends. One thread that lives as
        # long as this process therefore forks all children.
        self._process = _spawner().submit(self._spawn).result()
        self._remember(self._process.pid)

    def restart(self) -> None:
        """Start the process again."""
        self.start()

    def wait_until(self, is_ready: Callable[[], bool], timeout_s: float) -> bool:
        """Poll until the process is ready; return False if it ended first.

        Raise LocalServerFailed after `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while self.exit_status is None:
            if is_ready():
                return True
            if time.monotonic() > deadline:
                raise LocalServerFailed(
                    f"{self.command.name} did not answer within {timeout_s:.0f} s.\n"
                    f"{self.log_tail()}"
                )
            time.sleep(0.03)
        return False

    def ask_to_stop(self) -> None:
        """Send the stop signal and return at once."""
        if self._process is not None and self.exit_status is None:
            self._process.send_signal(self.command.stop_signal)

    def wait_stopped(self) -> None:
        """Wait for the end; kill the process and its children after the time limit."""
        if self._process is None:
            return
        deadline = time.monotonic() + self.command.stop_timeout_s
        try:
            while self.exit_status is None and time.monotonic() < deadline:
                time.sleep(0.02)
        finally:
            if self.exit_status is None:
                _kill_group(self._process.pid)
                self._process.wait()
            self._record.unlink(missing_ok=True)

    def stop(self) -> None:
        """Stop the process and wait for its end; do nothing if it is stopped."""
        self.ask_to_stop()
        self.wait_stopped()

    def log_tail(self) -> str:
        """Return the path and the last lines of the log, for an error message."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            lines = []
        return "\n  ".join([f"The end of its log, {self.log}:", *lines[-LOG_TAIL_LINES:]])

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = self.command
        account = command.account
        drop = [] if account is None else [f"--uid={account.uid}", f"--gid={account.gid}"]
        # -I and -S ignore the user's Python settings and make the start take 20 ms.
        launcher = [sys.executable, "-I", "-S", parent_death.__file__, *drop]
        watched = [f"--parent={os.getpid()}", f"--death-signal={int(command.death_signal)}", "--"]
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own commands
                [*launcher, *watched, *map(str, command.arguments)],
                cwd=command.folder,
                env=dict(command.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=command.descriptors,
                start_new_session=True,
            )

    def _remember(self, pid: int) -> None:
        record = describe_process(pid, self._record.parent.parent)
        self._record.write_text(json.dumps(record), encoding="utf-8")


def kill_leftovers(run_dir: Path) -> list[str]:
    """Kill the recorded children of an earlier process that crashed; return their names.

    Only a process with the recorded id *and* start is ours, because ids are reused, and only if the
    record is for this folder: in a copy, it names the processes of the other one.
    """
    killed = []
    for record in sorted(run_dir.glob("*.json")):
        try:
            remembered = json.loads(record.read_text(encoding="utf-8"))
            process = psutil.Process(remembered["pid"])
            if is_described(remembered, run_dir.parent):
                _kill_group(process.pid)
                process.wait(10)
                killed.append(record.stem)
        except (psutil.NoSuchProcess, ValueError, KeyError, TypeError):
            # The process ended long ago, or the crash cut the record off.
            pass
        record.unlink(missing_ok=True)
    return killed


@functools.cache
def _spawner() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="facetag-spawner")


def _has_ended(pid: int) -> bool:
    if not hasattr(os, "waitid"):
        # macOS before Python 3.13 lacks waitid; a zombie also means the end.
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        # Other code in this process has waited for it.
        return True


def _kill_group(pid: int) -> None:
    # The group is gone. macOS answers "not permitted" for a group of zombies.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _put_aside(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
