"""Decode images that a worker died of, in a child process, so that only the child may die."""

import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

import numpy as np
import structlog

from facetag.errors import ErrorCode, ImageUnreadable, ServiceUnavailable
from facetag.labelling.isolated_decoder_main import ANSWER_LENGTH, FOR_DETECTION, REQUEST
from facetag.settings import Settings
from facetag.standalone.processes.environment import python_environment
from facetag.standalone.processes.supervisor import describe_end
from facetag.vision.photo import WORKING_SIDE, Picture, Pixels

START_LIMIT_S = 60.0
"""How long the child may take to import its decoders on a busy machine."""
# -P keeps the current folder off the path: a user's folder may hold a random.py.
PROGRAM = ("-P", "-m", "facetag.labelling.isolated_decoder_main")

log = structlog.get_logger(__name__)


class IsolatedDecoder:
    """Decode one image at a time in a child process, which is started once and then kept.

    The child has `suspect_memory_mb` of address space and `suspect_timeout_s` per image. If it dies
    or is too slow, the image fails with that reason, and the next image gets a new child.
    """

    def __init__(self, settings: Settings, *, program: tuple[str, ...] = PROGRAM) -> None:
        self._settings = settings
        self._program = program
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def __call__(self, data: bytes) -> Picture:
        """Return the very picture that the worker itself would decode.

        Its `decode_larger` asks the child again. Raises ImageUnreadable with the decoder's code,
        `decode_timeout` or `decoder_crashed`, and ServiceUnavailable if no child can be started,
        which is not the image's fault.
        """
        facts, pixels = self._decode(data, FOR_DETECTION)

        def decode_larger(scale: float) -> Pixels:
            return self._decode(data, scale)[1][0]

        width, height = facts["size"]
        return Picture(
            width,
            height,
            copy=pixels[-1],
            decoded=pixels[0],
            decode_larger=decode_larger if facts["reduced"] else None,
            incomplete=facts["incomplete"],
        )

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._end_child()

    def _decode(self, data: bytes, scale: float) -> tuple[dict[str, Any], list[Pixels]]:
        with self._lock:
            try:
                facts, pixels = self._ask(self._living_child(), data, scale)
            except BaseException:
                # What it has not sent yet would be taken for the next image's answer.
                self._end_child()
                raise
        if "code" in facts:
            raise ImageUnreadable(ErrorCode(facts["code"]), facts["message"])
        return facts, pixels

    def _living_child(self) -> subprocess.Popen[bytes]:
        """Return the kept child; one that died between two images is no fault of the next one."""
        if self._child is not None and self._child.poll() is not None:
            log.warning("idle_decoder_ended", ending=describe_end(self._child.returncode))
            self._end_child()
        return self._child or self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        settings = self._settings
        options = (
            f"--parent={os.getpid()}",
            f"--memory-mb={settings.suspect_memory_mb}",
            f"--max-pixels={settings.max_image_pixels}",
            f"--copy-side={WORKING_SIDE}",
            f"--formats={','.join(settings.image_formats)}",
        )
        try:
            self._child = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, *self._program, *options],
                env=_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            with _killed_after(self._child, START_LIMIT_S):
                _read_facts(_stream(self._child.stdout))
        except (OSError, EOFError) as error:
            raise ServiceUnavailable(
                "The process that decodes suspect images does not start. Check that it gets the "
                f"memory that FACETAG_SUSPECT_MEMORY_MB states ({error})."
            ) from error
        return self._child

    def _ask(
        self, child: subprocess.Popen[bytes], data: bytes, scale: float
    ) -> tuple[dict[str, Any], list[Pixels]]:
        timeout_s = self._settings.suspect_timeout_s
        with _killed_after(child, timeout_s) as overdue:
            try:
                into, out = _stream(child.stdin), _stream(child.stdout)
                into.write(REQUEST.pack(len(data), scale) + data)
                into.flush()
                facts = _read_facts(out)
                return facts, [_read_pixels(out, shape) for shape in facts["shapes"]]
            except (OSError, EOFError) as error:
                if overdue.is_set():
                    raise ImageUnreadable(
                        ErrorCode.DECODE_TIMEOUT, f"Decoding takes longer than {timeout_s:g} s."
                    ) from error
                ending = describe_end(child.wait())
                log.warning("decoder_crashed", ending=ending)
                raise ImageUnreadable(
                    ErrorCode.DECODER_CRASHED, f"The decoder {ending} at this image."
                ) from error

    def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout):
                _close(stream)


@contextmanager
def _killed_after(child: subprocess.Popen[bytes], limit_s: float) -> Iterator[threading.Event]:
    """Kill the child if the block takes longer; yields an event that is set when that happens."""
    overdue = threading.Event()

    def kill() -> None:
        overdue.set()
        child.kill()

    timer = threading.Timer(limit_s, kill)
    timer.daemon = True
    timer.start()
    try:
        yield overdue
    finally:
        timer.cancel()
        timer.join()


def _environment() -> dict[str, str]:
    """Return an environment in which the child finds our packages and uses one thread."""
    return python_environment(
        PYTHONPATH=os.pathsep.join(part for part in sys.path if part),
        # Each thread of a numeric library takes address space, and the child has little of it.
        OPENBLAS_NUM_THREADS="1",
        OMP_NUM_THREADS="1",
    )


def _stream(pipe: Any) -> BinaryIO:
    stream: BinaryIO = pipe
    return stream


def _close(pipe: Any) -> None:
    # The reader is gone, so bytes that were not yet written do not matter.
    with suppress(BrokenPipeError):
        pipe.close()


def _read_facts(source: BinaryIO) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(
        _read_all(source, ANSWER_LENGTH.unpack(_read_all(source, ANSWER_LENGTH.size))[0])
    )
    return facts


def _read_pixels(source: BinaryIO, shape: Sequence[int]) -> Pixels:
    return np.frombuffer(_read_all(source, math.prod(shape)), np.uint8).reshape(shape)


def _read_all(source: BinaryIO, size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise EOFError("the process has ended")
    return data
