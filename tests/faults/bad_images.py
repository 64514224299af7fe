"""Files that image decoders have stumbled over: damaged, lying, enormous, or merely unusual."""

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pillow_heif
from PIL import Image

from facetag.errors import ErrorCode

READING_CODES = {
    ErrorCode.EMPTY_FILE,
    ErrorCode.NOT_AN_IMAGE,
    ErrorCode.UNSUPPORTED_FORMAT,
    ErrorCode.TRUNCATED,
    ErrorCode.DECODE_ERROR,
    ErrorCode.TOO_MANY_PIXELS,
    ErrorCode.TOO_MANY_BYTES,
    ErrorCode.DECODE_TIMEOUT,
    ErrorCode.DECODER_CRASHED,
}
"""Codes that say what is wrong with a file; any other would be a fault of ours."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF", "MPO")


def encode(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def picture(width: int = 24, height: int = 16) -> Image.Image:
    """Return a picture with edges and gradients, so that its data is no run of one value."""
    across = np.linspace(0, 255, width, dtype=np.uint8)
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0], pixels[: height // 2, :, 1], pixels[..., 2] = across, 200, across[::-1]
    return Image.fromarray(pixels)


pillow_heif.register_heif_opener()
WHOLE = {form: encode(picture(), form) for form in FORMATS}
WHOLE["progressive JPEG"] = encode(picture(), "JPEG", progressive=True)
WHOLE["lossless WEBP"] = encode(picture(), "WEBP", lossless=True)
WHOLE["deflated TIFF"] = encode(picture(), "TIFF", compression="tiff_adobe_deflate")
"""One small file of each format, to be damaged."""


def png(
    width: int,
    height: int,
    depth: int = 8,
    colour: int = 2,
    data: bytes = b"",
    *,
    extra: bytes = b"",
    interlaced: int = 0,
) -> bytes:
    """Return a PNG whose header says what it is told, whatever its data are."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def zeros(size: int) -> bytes:
    """Return `size` zero bytes as a zlib stream, a thousandth of them long."""
    packer, parts, block = zlib.compressobj(1), [], bytes(1 << 20)
    for _ in range(size >> 20):
        parts.append(packer.compress(block))
    return b"".join([*parts, packer.compress(bytes(size & 0xFFFFF)), packer.flush()])


def unusual() -> dict[str, bytes]:
    """Return files that are as they should be, and seldom: each can be read."""
    wide = np.tile(np.linspace(0, 65535, 24).astype(np.uint16), (16, 1))
    rgb16 = b"".join(b"\0" + b"\xff\xee\x80\x00\x10\x00" * 24 for _ in range(16))
    palette = picture().quantize(8)
    frames = [picture().rotate(turn) for turn in (5, 9)]
    animated = {"save_all": True, "append_images": frames, "duration": 40}
    return {
        "cmyk.jpg": encode(picture().convert("CMYK"), "JPEG"),
        "grey of 16 bits.png": encode(Image.fromarray(wide), "PNG"),
        "colours of 16 bits.png": png(24, 16, 16, 2, zlib.compress(rgb16)),
        "transparent palette.png": encode(palette, "PNG", transparency=3),
        "transparent palette.gif": encode(palette, "GIF", transparency=3),
        "palette with alphas.png": encode(palette, "PNG", transparency=bytes(range(8))),
        "animated.gif": encode(picture(), "GIF", **animated),
        "animated.webp": encode(picture(), "WEBP", **animated),
        "animated.png": encode(picture(), "PNG", **animated),
        "progressive.jpg": WHOLE["progressive JPEG"],
        "a png really.jpg": WHOLE["PNG"],
        "a jpeg really.png": WHOLE["JPEG"],
        "one pixel.gif": encode(Image.new("P", (1, 1)), "GIF"),
        "one bit.png": encode(picture().convert("1"), "PNG"),
    }


@cache
def bombs() -> dict[str, bytes]:
    """Return small files that want much memory or time, or say that they do."""
    thin = png(1, 2**31 - 1, data=zlib.compress(b"\0\0\0\0"))
    inflated = chunk(b"zTXt", b"Comment\0\0" + zeros(80 << 20))
    profile = chunk(b"iCCP", b"profile\0\0" + zeros(80 << 20))
    jpeg, gif = bytearray(WHOLE["JPEG"]), bytearray(WHOLE["GIF"])
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    gif[6:10] = b"\xff\xff\xff\xff"
    webp = bytearray(WHOLE["lossless WEBP"])
    webp[21:25] = b"\xff\xff\xff\x0f"
    canvas = bytearray(unusual()["animated.webp"])
    canvas[20] |= 0x10
    canvas[24:30] = 2 * (10_949).to_bytes(3, "little")
    return {
        "an animation on a canvas of gigabytes.webp": bytes(canvas),
        "a hundred million pixels.png": png(10_000, 10_000, 8, 0, zeros(100_010_000)),
        "pixels of sixteen bits.png": png(5000, 5000, 16, 6, zeros(5000 * 40_001)),
        "sixty thousand square.png": png(60_000, 60_000, data=zlib.compress(b"\0" * 99)),
        "interlaced.png": png(60_000, 1900, 1, 0, zeros(1 << 20), interlaced=1),
        "thin.png": thin,
        "without width.png": png(0, 16, data=zlib.compress(b"\0")),
        "a text of eighty megabytes.png": png(2, 2, data=zlib.compress(b"\0" * 14), extra=inflated),
        "a profile of eighty megabytes.png": png(
            2, 2, data=zlib.compress(b"\0" * 14), extra=profile
        ),
        "sixty thousand square.jpg": bytes(jpeg),
        "sixty thousand square.gif": bytes(gif),
        "sixteen thousand square.webp": bytes(webp),
        "deflated.tif": encode(Image.new("L", (9000, 9000)), "TIFF", compression="tiff_deflate"),
    }


def foreign() -> dict[str, bytes]:
    """Return files that are no photos at all."""
    return {
        "zero bytes.jpg": b"",
        "one byte.png": b"\x89",
        "text.jpg": b"This is no photo.\n" * 40,
        "page.png": b"<!doctype html><title>404</title>" * 9,
        "document.jpg": b"%PDF-1.7\n" + bytes(range(256)),
        "archive.webp": b"PK\x03\x04" + bytes(range(256)) * 3,
        "program.gif": b"\x7fELF" + bytes(300),
        "zeros.jpg": bytes(5000),
    }


def cut_short() -> Iterator[tuple[str, bytes]]:
    """Yield every beginning of each whole file."""
    for form, data in WHOLE.items():
        for length in range(len(data)):
            yield f"{form} of {length}", data[:length]


def scramble(data: bytes, rng: random.Random) -> bytes:
    """Damage a file: bytes of its header, bits anywhere, a part left out, doubled or put in."""
    damaged = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        place = rng.randrange(min(len(damaged), rng.choice((32, 64, 10**6))))
        kinds: list[Callable[[], None]] = [
            lambda at=place: damaged.__setitem__(at, rng.randrange(256)),
            lambda at=place: damaged.__setitem__(at, damaged[at] ^ 1 << rng.randrange(8)),
            lambda at=place: damaged.__setitem__(slice(at, at + 4), rng.choice(EXTREMES)),
            lambda at=place: damaged.__delitem__(slice(at, at + rng.randrange(1, 9))),
            lambda at=place: damaged.__setitem__(slice(at, at), rng.randbytes(5)),
            lambda at=place: damaged.__setitem__(slice(at, at), damaged[at : at + 40]),
        ]
        rng.choice(kinds)()
        if not damaged:
            break
    return bytes(damaged)


EXTREMES = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4), b"\xff\xff\xff\x7f", b"\x80\0\0\0")
"""Lengths and sizes at which arithmetic overflows."""


def make_bad_images(number: int, rng: random.Random) -> list[tuple[str, bytes]]:
    """Return that many named files: all that are fixed, then cut and scrambled ones."""
    fixed = [*foreign().items(), *bombs().items()]
    cuts = list(cut_short())
    files = fixed[:number]
    while len(files) < number:
        if rng.random() < 0.4:
            files.append(rng.choice(cuts))
        else:
            form = rng.choice(sorted(WHOLE))
            files.append((f"scrambled {form} {len(files)}", scramble(WHOLE[form], rng)))
    return files
