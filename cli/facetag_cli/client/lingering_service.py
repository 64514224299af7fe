"""Start a service that outlives the command by some minutes, and end one.

It is a `facetag up --linger` in a session of its own, so that the next command finds its network
loaded. It ends itself once nobody has used it for the time that the settings give.
"""

import hashlib
import json
import signal
import subprocess
import time
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path

import psutil
from pydantic import SecretStr

from facetag.disk_space import require_server_space
from facetag.errors import DataFolderBusy, LocalServerFailed
from facetag.settings import Settings
from facetag.standalone.announcements import Announcement, answers, find_announced
from facetag.standalone.folder_lock import BUSY, holder_of, lock_folder
from facetag.standalone.processes.environment import (
    own_search_path,
    python_command,
    python_environment,
)
from facetag.standalone.processes.process_record import find_start, is_process
from facetag.standalone.servers.local_server import Folders
from facetag.standalone.service_users import in_use

START_TIMEOUT_S = 180.0
BUSY_TIMEOUT_S = 30.0
"""How long another command that holds the data folder is waited for."""
END_TIMEOUT_S = 90.0
POLL_S = 0.05
LOG_TAIL_LINES = 8
NOT_ABOUT_LABELS = {"api_key", "api_url", "data_dir", "linger_s"}
LINGER = "--linger="
PACKAGES = ("facetag", "facetag_api", "facetag_cli", "facetag_worker")


def start_service(settings: Settings) -> Announcement:
    """Start a service that lingers for these settings, and return it once it answers.

    Ctrl-C ends what was started, unless another command waits for it too. Raises DiskFull,
    LocalServerFailed, and DataFolderBusy while another facetag uses the folder.
    """
    folders = Folders(settings.data_dir.expanduser().absolute())
    require_server_space(folders.data_dir)
    folders.make()
    wanted = settings_digest(settings)
    deadline = time.monotonic() + START_TIMEOUT_S
    patience = time.monotonic() + BUSY_TIMEOUT_S
    process = _spawn(settings, folders)
    try:
        while time.monotonic() < deadline:
            found = find_announced(folders.data_dir)
            if found is not None and found.lingers_for == wanted and answers(found.api_url):
                return found
            if process.poll() is not None:
                waited = time.monotonic() > patience and not is_lingering(folders.data_dir)
                if waited or not (_is_locked(folders.data_dir) or _met_another(folders)):
                    raise LocalServerFailed(f"The service did not start.\n{_log_tail(folders)}")
                # Another run starts the same service, or an earlier one ends or has just ended.
                time.sleep(1.0)
                if find_announced(folders.data_dir) is None and not _is_locked(folders.data_dir):
                    process = _spawn(settings, folders)
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        if not in_use(folders.run):
            with suppress(psutil.NoSuchProcess):
                _end(psutil.Process(process.pid))
        raise
    process.terminate()
    raise LocalServerFailed(f"The service did not start.\n{_log_tail(folders)}")


def replace_unused(announced: Announcement, data_dir: Path) -> None:
    """End a service that lingers with other settings; raises DataFolderBusy while it is used."""
    if in_use(Folders(data_dir.expanduser().absolute()).run):
        raise DataFolderBusy(
            f"Another command uses a service with other settings on {data_dir}. Wait for it, give "
            "another folder with --data-dir, or end the service with `facetag down`."
        )
    end_service(announced)


def end_service(announced: Announcement, timeout_s: float = END_TIMEOUT_S) -> None:
    """End a service and wait for its end; its jobs are kept and go on with the next service.

    A process that has ended counts as gone even where its parent never asks how it ended, such as
    the first process of a container.
    """
    with suppress(psutil.NoSuchProcess):
        _end(psutil.Process(announced.pid), timeout_s)


def end_unannounced(data_dir: Path) -> bool:
    """End the services on a folder that still start, as `end_service` does; return whether any did.

    One that is already stopping is waited for.
    """
    folder = data_dir.expanduser().absolute()
    starting = [process for process in psutil.process_iter() if _serves(process, folder)]
    for process in starting:
        with suppress(psutil.NoSuchProcess):
            _end(process)
    return bool(starting)


def _serves(process: psutil.Process, folder: Path) -> bool:
    """Return whether this is a `facetag up` that lingers on a folder, or that holds its lock."""
    with suppress(psutil.Error):
        words = process.cmdline()
        if f"--data-dir={folder}" in words and any(word.startswith(LINGER) for word in words):
            return True
        return "up" in words and _holds(process, folder)
    return False


def _holds(process: psutil.Process, folder: Path) -> bool:
    with suppress(OSError, ValueError):
        return holder_of(folder) == process.pid and _is_locked(folder)
    return False


def _end(process: psutil.Process, timeout_s: float = END_TIMEOUT_S) -> None:
    deadline = time.monotonic() + timeout_s
    started = find_start(process.pid)
    process.send_signal(signal.SIGTERM)
    while started is not None and is_process(process.pid, started):
        if time.monotonic() > deadline:
            # Its children end with it.
            process.kill()
            return
        time.sleep(POLL_S)


def settings_digest(settings: Settings) -> str:
    """Return a digest of all that decides how a service labels: settings, and our code."""
    said = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in settings.model_dump(exclude=NOT_ABOUT_LABELS).items()
    }
    text = json.dumps([said, _code_stamp()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _code_stamp() -> int:
    """Return when our code last changed: a service of an older installation must not go on."""
    folders = [
        Path(folder)
        for package in PACKAGES
        if (spec := PathFinder.find_spec(package, own_search_path())) is not None
        for folder in spec.submodule_search_locations or ()
    ]
    return max(file.stat().st_mtime_ns for folder in folders for file in folder.rglob("*.py"))


def _spawn(settings: Settings, folders: Folders) -> "subprocess.Popen[bytes]":
    options = [
        f"{LINGER}{settings.linger_s}",
        f"--min-face={settings.min_face}",
        f"--data-dir={folders.data_dir}",
    ]
    with _log(folders).open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - our own command
            [*python_command(), "facetag_cli.main", "up", *options],
            # Relative paths in the settings then mean the same as in this process.
            cwd=Path.cwd(),
            env=python_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def is_lingering(data_dir: Path) -> bool:
    """Return whether a service like ours holds the folder: it starts, or is just ending.

    On a busy machine either takes longer than a command waits for any other holder.
    """
    with suppress(OSError, ValueError, psutil.Error):
        return any(
            word.startswith(LINGER) for word in psutil.Process(holder_of(data_dir)).cmdline()
        )
    return False


def _is_locked(data_dir: Path) -> bool:
    try:
        with lock_folder(data_dir):
            return False
    except DataFolderBusy:
        return True


def _met_another(folders: Folders) -> bool:
    """Return whether the service that ended did so because another process held the folder."""
    return BUSY in _log(folders).read_text(encoding="utf-8", errors="replace")


def _log(folders: Folders) -> Path:
    return folders.logs / "service.log"


def _log_tail(folders: Folders) -> str:
    lines = _log(folders).read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n  ".join([f"The end of its log, {_log(folders)}:", *lines[-LOG_TAIL_LINES:]])
