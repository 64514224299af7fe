"""Write a file beside its place and rename it, so that readers meet the whole old or new file.

Use `atomic_write` for content in memory, `atomic_open` for a stream, and `atomic_draft` for code
that writes to a path. A device or a pipe, such as /dev/stdout, is neither replaced nor written to:
somebody may have laid it where a file is expected.
"""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

KEPT_CHARACTERS = 50
"""Last characters of a name that its draft's name keeps, so that it fits in 255 bytes."""


@contextmanager
def atomic_draft(
    path: Path, *, fsync: bool = False, mode: int | None = None, sole_writer: bool = False
) -> Iterator[Path]:
    """Yield the path of an empty draft in the same folder, which replaces `path` after the body.

    The draft has the suffixes of `path`. If the body raises, the draft is deleted and `path` stays
    as it was. If `path` is a link, the file that it points to is replaced.

    With `fsync`, the content is on the disk before the rename: a loss of power leaves the old file
    or the new one. `mode` gives the permissions from the start; without it, a new file has those
    that the umask leaves, and a file that is replaced hands its own on. With `sole_writer`, the
    draft always has the same name, so that the next one replaces what a kill left behind: only for
    a path that one process at a time writes. Raises OSError, also for a device or a pipe.
    """
    if _is_stream(path):
        raise OSError(errno.EINVAL, "it is a device or a pipe, not a file", str(path))
    target = Path(os.path.realpath(path))
    token = "" if sole_writer else f"{secrets.token_hex(6)}."
    draft = target.with_name(f".{token}partial.{target.name[-KEPT_CHARACTERS:]}")
    draft.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode))
    try:
        yield draft
        if fsync:
            with draft.open("rb") as file:
                os.fsync(file.fileno())
        if mode is None:
            with contextlib.suppress(FileNotFoundError):
                draft.chmod(target.stat().st_mode & 0o777)
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_open(
    path: Path, *, fsync: bool = False, mode: int | None = None, sole_writer: bool = False
) -> Iterator[BinaryIO]:
    """Yield a stream of bytes whose content replaces `path`; arguments as for `atomic_draft`."""
    with (
        atomic_draft(path, fsync=fsync, mode=mode, sole_writer=sole_writer) as draft,
        draft.open("wb") as file,
    ):
        yield file


@contextmanager
def atomic_open_text(
    path: Path, *, fsync: bool = False, mode: int | None = None, sole_writer: bool = False
) -> Iterator[TextIO]:
    """Yield a stream of UTF-8 text, newlines as written; arguments as for `atomic_draft`."""
    with (
        atomic_draft(path, fsync=fsync, mode=mode, sole_writer=sole_writer) as draft,
        draft.open("w", encoding="utf-8", newline="") as file,
    ):
        yield file


def atomic_write(
    path: Path,
    content: str | bytes,
    *,
    fsync: bool = False,
    mode: int | None = None,
    sole_writer: bool = False,
) -> None:
    """Write bytes, or text as UTF-8, in place of `path`; arguments as for `atomic_draft`."""
    data = content.encode() if isinstance(content, str) else content
    with atomic_draft(path, fsync=fsync, mode=mode, sole_writer=sole_writer) as draft:
        draft.write_bytes(data)


def _is_stream(path: Path) -> bool:
    """Return whether this is a device, a pipe or a socket, which no file may replace."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
