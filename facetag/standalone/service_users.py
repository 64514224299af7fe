"""Mark a running service as in use, so that it does not end itself while a command needs it."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from facetag.disk_space import NO_SPACE, data_folder_full
from facetag.standalone.folder_owner import require_own, unusable
from facetag.standalone.processes.process_record import describe_process, is_described

FOLDER = "users"


@contextmanager
def mark_use(run_dir: Path) -> Iterator[None]:
    """Mark the service or the servers of this folder as used by this process within the body.

    Raises LocalServerFailed where the folder cannot be made or written, or is another user's, and
    DiskFull on a full disk.
    """
    require_own(run_dir.parent)
    folder = run_dir / FOLDER
    mark = folder / str(os.getpid())
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark.write_text(json.dumps(describe_process(os.getpid(), run_dir.parent)), encoding="ascii")
    except OSError as error:
        if error.errno in NO_SPACE:
            raise data_folder_full(run_dir.parent) from error
        raise unusable(run_dir.parent, error) from error
    try:
        yield
    finally:
        mark.unlink(missing_ok=True)


def in_use(run_dir: Path) -> bool:
    """Return whether another process that lives has marked a use; forget those that are gone."""
    used = False
    for mark in (run_dir / FOLDER).glob("[0-9]*"):
        if int(mark.name) == os.getpid():
            continue
        with suppress(OSError, ValueError, KeyError, TypeError):
            record = json.loads(mark.read_text(encoding="ascii"))
            if not isinstance(record, dict):
                # Earlier releases wrote the start alone.
                record = {"pid": mark.name, "started": record}
            if is_described(record, run_dir.parent):
                used = True
                continue
            mark.unlink(missing_ok=True)
    return used
