"""Decode images in a process of its own with limited memory, so that no image kills a worker.

`isolated_decoder` runs this program. It reads a file (8 bytes of length, then the file) and answers
with 4 bytes of length, a JSON object and, if the object has a `shape`, the pixels. It repeats this
until its input ends.
"""

import argparse
import json
import os
import signal
import struct
import sys
from collections.abc import Mapping
from typing import Any, BinaryIO

from facetag.errors import ImageUnreadable
from facetag.standalone.processes.parent_death import end_with_parent

FILE_LENGTH = struct.Struct(">Q")
ANSWER_LENGTH = struct.Struct(">I")


def main() -> None:
    """Limit this process, then decode files until the input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--memory-mb", type=int, required=True)
    parser.add_argument("--max-pixels", type=int, required=True)
    parser.add_argument("--formats", required=True)
    options = parser.parse_args()
    end_with_parent(options.parent, signal.SIGKILL)
    # Ctrl-C in a terminal is for the worker, which ends this process by closing its input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    # Text that a decoder prints must not get among the answers.
    os.dup2(2, 1)
    _limit(options.memory_mb)
    _load_decoder()
    _answer(answers, {"ready": True})
    while (data := _read_file(sys.stdin.buffer)) is not None:
        _decode(data, answers, tuple(options.formats.split(",")), options.max_pixels)


def _limit(memory_mb: int) -> None:
    import resource

    limit = memory_mb * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    # A crash must leave no photo in a core file.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _load_decoder() -> None:
    """Import the decoder before the time of the first image runs."""
    import facetag.vision.image_decoder  # noqa: F401


def _read_file(source: BinaryIO) -> bytes | None:
    head = source.read(FILE_LENGTH.size)
    if len(head) < FILE_LENGTH.size:
        return None
    return source.read(FILE_LENGTH.unpack(head)[0])


def _decode(data: bytes, answers: BinaryIO, formats: tuple[str, ...], max_pixels: int) -> None:
    from facetag.vision.image_decoder import decode_whole

    try:
        photo = decode_whole(data, formats=formats, max_pixels=max_pixels)
    except ImageUnreadable as error:
        _answer(answers, {"code": error.code.value, "message": str(error)})
    else:
        answer = {"shape": photo.pixels.shape, "incomplete": photo.incomplete}
        _answer(answers, answer, photo.pixels.data)


def _answer(answers: BinaryIO, answer: Mapping[str, Any], pixels: Any = b"") -> None:
    head = json.dumps(answer).encode()
    answers.write(ANSWER_LENGTH.pack(len(head)) + head)
    answers.write(pixels)
    answers.flush()


if __name__ == "__main__":
    main()
