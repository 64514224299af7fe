"""Decode images in a process of its own with limited memory, so that no image kills a worker.

`isolated_decoder` runs this program. A request is 8 bytes of length, a scale as 8 bytes, and the
file. The answer is 4 bytes of length, a JSON object and the pixels whose shapes the object lists.
With scale 0, these are the photo as it is decoded for the detector, and its copy; otherwise the
photo at that share of its size or more. This repeats until the input ends.
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

REQUEST = struct.Struct(">Qd")
"""Bytes of the file, and the scale."""
FOR_DETECTION = 0.0
ANSWER_LENGTH = struct.Struct(">I")


def main() -> None:
    """Limit this process, then decode files until the input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--memory-mb", type=int, required=True)
    parser.add_argument("--max-pixels", type=int, required=True)
    parser.add_argument("--copy-side", type=int, required=True)
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
    _answer(answers, {})
    limits = {"formats": tuple(options.formats.split(",")), "max_pixels": options.max_pixels}
    while (request := _read_request(sys.stdin.buffer)) is not None:
        data, scale = request
        try:
            if scale == FOR_DETECTION:
                _answer_with_picture(answers, data, limits | {"copy_side": options.copy_side})
            else:
                _answer_with_larger(answers, data, limits | {"scale": scale})
        except ImageUnreadable as error:
            _answer(answers, {"code": error.code.value, "message": str(error)})


def _limit(memory_mb: int) -> None:
    import resource

    limit = memory_mb * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    # A crash must leave no photo in a core file.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _load_decoder() -> None:
    """Import the decoder before the time of the first image runs, without Pillow's own limit."""
    from PIL import Image

    import facetag.vision.image_decoder  # noqa: F401

    # TIFF files are compared with it when they are decoded. Ours is checked before.
    Image.MAX_IMAGE_PIXELS = None


def _read_request(source: BinaryIO) -> tuple[bytes, float] | None:
    head = source.read(REQUEST.size)
    if len(head) < REQUEST.size:
        return None
    length, scale = REQUEST.unpack(head)
    return source.read(length), scale


def _answer_with_picture(answers: BinaryIO, data: bytes, options: dict[str, Any]) -> None:

    from facetag.vision.image_decoder import decode_picture

    picture = decode_picture(data, **options)
    facts = {
        "size": [picture.width, picture.height],
        "reduced": picture.decode_larger is not None,
        "incomplete": picture.incomplete,
    }
    pixels = picture.decoded
    # A photo that is small enough is its own copy.
    same = picture.copy.shape == pixels.shape
    _answer(answers, facts, *([pixels] if same else [pixels, picture.copy]))


def _answer_with_larger(answers: BinaryIO, data: bytes, options: dict[str, Any]) -> None:

    from facetag.vision.image_decoder import decode_scaled

    _answer(answers, {}, decode_scaled(data, **options))


def _answer(answers: BinaryIO, facts: Mapping[str, Any], *pixels: Any) -> None:
    head = json.dumps({"shapes": [one.shape for one in pixels], **facts}).encode()
    answers.write(ANSWER_LENGTH.pack(len(head)) + head)
    for one in pixels:
        answers.write(one.data if one.flags["C_CONTIGUOUS"] else one.tobytes())
    answers.flush()


if __name__ == "__main__":
    main()
