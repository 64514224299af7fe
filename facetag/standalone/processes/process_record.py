"""Record a process of a data folder, so that no other one is ever taken for it.

A later process may get its id, and a copy of the folder holds a copy of the record.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

# An installation that only asks a service elsewhere has no psutil.

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PROCESS_SPACE = Path("/proc/self/ns/pid")
_STATE, _START = 0, 19
"""Fields of /proc/PID/stat, counted from the one after the process's name."""
_ENDED = "ZX"

Start = str | float
"""The start of a process: `TICK:BOOT`, or seconds since 1970 where the system has no boot id.

The seconds follow the steps of the clock; the ticks since the start of the machine do not.
"""


def describe_process(pid: int, data_dir: Path) -> dict[str, Any]:
    """Return the record of a process for this data folder, without a start if it has ended."""
    return {"pid": pid, "started": find_start(pid), "folder": folder_id(data_dir)}


def is_described(record: dict[str, Any], data_dir: Path) -> bool:
    """Return whether the record is for this data folder, and its process lives.

    Earlier releases named no folder. Raises KeyError, TypeError or ValueError for a damaged record.
    """
    own = folder_id(data_dir)
    ours = record.get("folder", own) == own
    return ours and is_process(int(record["pid"]), record["started"])


def folder_id(folder: Path) -> str:
    """Return what tells a folder from its copies and snapshots, and stays when it is moved."""
    found = folder.stat()
    return f"{found.st_dev}:{found.st_ino}"


def find_start(pid: int) -> Start | None:
    """Return the start of a process, None if it has ended."""
    boot = boot_id()
    if not boot:
        return _find_seconds(pid)
    tick = start_tick(pid)
    return f"{tick}:{boot}" if tick else None


def is_process(pid: int, started: Start) -> bool:
    """Return whether the process of this id lives and is the one that started then.

    The system gives ids again to other processes. Earlier releases recorded seconds everywhere.
    """
    if isinstance(started, str):
        return find_start(pid) == started
    seconds = _find_seconds(pid)
    return seconds is not None and abs(seconds - started) < 0.05


def start_tick(pid: int) -> str:
    """Return when a process started, in ticks since the start of the machine.

    "" if it has ended, or if this system has no /proc.
    """
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The name may hold spaces and brackets.
    fields = status.rpartition(")")[2].split()
    return "" if fields[_STATE] in _ENDED else fields[_START]


def boot_id() -> str:
    """Return an id that only this machine has, until it is started again; "" without /proc."""
    with suppress(OSError):
        return BOOT_ID.read_text(encoding="ascii").strip()
    return ""


def process_space() -> str:
    """Return an id of the processes that share ids with this one, as in a container; "" if none."""
    with suppress(OSError):
        return str(PROCESS_SPACE.stat().st_ino)
    return ""


def _find_seconds(pid: int) -> float | None:
    import psutil

    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE:
            return float(process.create_time())
    return None
