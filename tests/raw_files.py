"""Write a camera's raw file (DNG 1.4) with a grey sensor and a JPEG preview."""

import io
import struct

import numpy as np
from PIL import Image

SENSOR = (192, 256)
HEADER = 8
SHORT, LONG = (3, "H"), (4, "I")


def make_dng(photo: Image.Image, *, orientation: int = 1) -> bytes:
    """Return the file; `photo` is its preview."""
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=95, subsampling=0)
    preview = _even(file.getvalue())
    sensor = np.full(SENSOR, 1000, "<u2").tobytes()
    at_sensor = HEADER + len(preview)
    at_sub = at_sensor + len(sensor)
    sub = _directory(
        {
            **_strip(SENSOR[::-1], at_sensor, len(sensor)),
            254: (*LONG, [0]),
            258: (*SHORT, [16]),
            259: (*SHORT, [1]),
            262: (*SHORT, [32803]),
            277: (*SHORT, [1]),
            33421: (*SHORT, [2, 2]),
            33422: (1, "B", [0, 1, 1, 2]),
        },
        at_sub,
    )
    first = _directory(
        {
            **_strip(photo.size, HEADER, len(preview)),
            254: (*LONG, [1]),
            258: (*SHORT, [8, 8, 8]),
            259: (*SHORT, [7]),
            262: (*SHORT, [6]),
            271: (2, "B", list(b"Acme\0")),
            272: (2, "B", list(b"Acme One\0")),
            274: (*SHORT, [orientation]),
            277: (*SHORT, [3]),
            330: (*LONG, [at_sub]),
            50706: (1, "B", [1, 4, 0, 0]),
            50708: (2, "B", list(b"Acme One\0")),
        },
        at_sub + len(sub),
    )
    start = b"II*\0" + struct.pack("<I", at_sub + len(sub))
    return start + preview + sensor + sub + first


def _strip(size: tuple[int, int], place: int, length: int) -> dict:
    width, height = size
    return {
        256: (*LONG, [width]),
        257: (*LONG, [height]),
        273: (*LONG, [place]),
        278: (*LONG, [height]),
        279: (*LONG, [length]),
    }


def _directory(entries: dict, place: int) -> bytes:
    """Return a directory that lies at `place`, with its long values behind it."""
    behind = place + 2 + 12 * len(entries) + 4
    table, values = struct.pack("<H", len(entries)), b""
    for tag, (kind, code, numbers) in sorted(entries.items()):
        value = struct.pack(f"<{len(numbers)}{code}", *numbers)
        table += struct.pack("<HHI", tag, kind, len(numbers))
        if len(value) <= 4:
            table += value.ljust(4, b"\0")
        else:
            table += struct.pack("<I", behind + len(values))
            values += _even(value)
    return table + struct.pack("<I", 0) + values


def _even(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)
