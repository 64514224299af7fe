"""Check the checksums of a PNG file, and leave out chunks that are not needed for its pixels."""

import struct
import zlib
from collections.abc import Iterator
from itertools import islice

from facetag.errors import ErrorCode, ImageUnreadable
from facetag.image_formats import PNG_START

CHUNK_BORDER = 12
"""Bytes of a chunk beside its data: its length, its kind and its checksum."""
DROPPED = (b"iCCP", b"iTXt", b"tEXt", b"zTXt")
"""Kinds that Pillow refuses above a megabyte, though no pixel depends on them."""
ORIENTATION_KEYWORDS = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")
"""Keywords of texts that may state the orientation."""
KEPT_TEXT_BYTES = 64_000
MANY_CHUNKS = 20_000
"""A file of 64 MB has 8,000 chunks of the usual size; millions of empty ones take long to read."""


def has_many_chunks(data: bytes) -> bool:
    """Return whether a PNG file has so many chunks that reading them takes long."""
    return next(islice(_list_chunks(data), MANY_CHUNKS, None), None) is not None


def check_chunks(data: bytes) -> bytes:
    """Return a PNG file without colour profiles and without texts that state no orientation.

    Raises ImageUnreadable, `decode_error`, if a chunk's checksum is wrong, up to the last chunk of
    pixels. What follows them is not read. A file that ends early is returned as it is: the decoder
    knows whether pixels are missing.
    """
    kept = [PNG_START]
    dropped = False
    pixels_seen = False
    for kind, start, end in _list_chunks(data):
        if pixels_seen and kind != b"IDAT":
            kept.append(data[start:])
            break
        pixels_seen = kind == b"IDAT"
        _check(kind, data[start:end])
        if _is_needed(kind, data[start + 8 : end - 4]):
            kept.append(data[start:end])
        else:
            dropped = True
    else:
        return data
    return b"".join(kept) if dropped else data


def _list_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind, the start and the end of each chunk that is there as a whole."""
    start = len(PNG_START)
    while start + CHUNK_BORDER <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        end = start + CHUNK_BORDER + length
        if end > len(data):
            return
        yield kind, start, end
        start = end


def _check(kind: bytes, chunk: bytes) -> None:
    stated = int.from_bytes(chunk[-4:], "big")
    if zlib.crc32(memoryview(chunk)[4:-4]) != stated:
        name = kind.decode("ascii", "replace")
        raise ImageUnreadable(
            ErrorCode.DECODE_ERROR,
            f"The image data is damaged: wrong checksum of its {name} chunk.",
        )


def _is_needed(kind: bytes, body: bytes) -> bool:
    if kind not in DROPPED:
        return True
    return body.startswith(ORIENTATION_KEYWORDS) and len(body) <= KEPT_TEXT_BYTES
