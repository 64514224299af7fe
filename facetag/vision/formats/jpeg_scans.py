"""Read the scans of a JPEG file: parts that each bring some coefficients of some colours.

A progressive file brings a coarse photo first and refines it in later scans. A file that ends
before its last scan lacks detail everywhere.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

START_OF_IMAGE = b"\xff\xd8"
END_OF_IMAGE = 0xD9
START_OF_SCAN = 0xDA
FRAMES = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
"""Markers of the frames that libjpeg decodes: baseline, extended, progressive, two arithmetic."""
JPEG_LS = 0xF7
ALL_FRAMES = (frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}) | {JPEG_LS}
"""Markers of frames of any kind: those left out are of tables and extensions."""
LOSSLESS = 0xC3
"""The marker of a lossless frame, as some scanners and medical devices write it."""
NEXT_MARKER = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd7]")
"""Restart markers and escaped bytes belong to a scan; like the marker 01, they state no length."""
JFIF = 0xE0
JFIF_MAJOR = 5
"""The byte of a JFIF segment that states the major version, of which there is only 1."""
COEFFICIENTS = 64


@dataclass(frozen=True, slots=True)
class Scan:
    """Hold where a scan's data begin, its colours, its coefficients and the bits it leaves out.

    `bits_left` is 0 if these coefficients are precise after the scan.
    """

    data_start: int
    colours: tuple[int, ...]
    coefficients: range
    bits_left: int


def list_scans(data: bytes) -> list[Scan]:
    """Return the scans of a file's first image whose headers are there."""
    return [
        _read_scan(end, body)
        for marker, body, end in list_segments(data)
        if marker == START_OF_SCAN and len(body) >= 4
    ]


def brings_all(data: bytes, scans: Sequence[Scan]) -> bool:
    """Return whether the scans have begun with every coefficient of every colour of the frame."""
    begun = {
        (colour, coefficient)
        for scan in scans
        if scan.bits_left == 0
        for colour in scan.colours
        for coefficient in scan.coefficients
    }
    frames = [body for marker, body, _ in list_segments(data) if marker in FRAMES]
    return len(frames) == 1 and begun.issuperset(
        (colour, coefficient)
        for colour in _read_colours(frames[0][5:], 3)
        for coefficient in range(COEFFICIENTS)
    )


def is_lossless(data: bytes) -> bool:
    """Return whether a file is lossless JPEG, which has no coefficients and so no smaller scales.

    libjpeg-turbo crashes if it is asked for a smaller one.
    """
    frame = find_frame(data)
    return frame is not None and frame[0] == LOSSLESS


def find_frame(data: bytes) -> tuple[int, bytes] | None:
    """Return the marker and body of the first frame, of any kind, before the first scan."""
    for marker, body, _ in list_segments(data):
        if marker in ALL_FRAMES:
            return marker, body
        if marker == START_OF_SCAN:
            break
    return None


def find_end(data: bytes) -> int:
    """Return where the end of a file's first image is marked; the file's length if nowhere."""
    after = max((end for *_, end in list_segments(data)), default=2)
    found = NEXT_MARKER.search(data, after)
    return len(data) if found is None else found.start()


def without_header_faults(data: bytes) -> bytes:
    """Return a file without stray bytes before its first scan, and without an unknown JFIF."""
    kept = [START_OF_IMAGE]
    for marker, body, end in list_segments(data):
        if marker != JFIF or body[JFIF_MAJOR : JFIF_MAJOR + 1] == b"\1":
            kept.append(data[end - len(body) - 4 : end])
        if marker == START_OF_SCAN:
            kept.append(data[end:])
            break
    return b"".join(kept)


def _read_scan(data_start: int, body: bytes) -> Scan:
    first, last, bits = body[-3:]
    return Scan(data_start, tuple(_read_colours(body, 2)), range(first, last + 1), bits & 15)


def _read_colours(counted: bytes, size: int) -> bytes:
    """Return the first byte of each entry of `size` bytes behind a count."""
    return counted[1 : 1 + counted[0] * size : size] if counted else b""


def list_segments(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield each segment's marker, body and end, up to the end of the file or its first image."""
    after = 2
    while (found := NEXT_MARKER.search(data, after)) is not None:
        marker, start = data[found.start() + 1], found.end()
        length = int.from_bytes(data[start : start + 2], "big")
        if marker == END_OF_IMAGE or length < 2 or start + length > len(data):
            return
        after = start + length
        yield marker, data[start + 2 : after], after
