"""Damaged files of every format against Pillow: what it refuses is never labelled as if whole.

`FACETAG_MUTATIONS=2000` tries more files than the suite has time for.
"""

import io
import os
import random

import pillow_heif
import pillow_jxl  # noqa: F401 - registers JPEG XL
import pytest
from PIL import Image

from benchmarks.samples import load_photo
from facetag.errors import ErrorCode, ImageUnreadable
from facetag.settings import Settings
from facetag.vision.image_decoder import DAMAGE, decode_picture, decode_whole

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:PIL"),
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
    pytest.mark.timeout(600),
]

COUNT = int(os.environ.get("FACETAG_MUTATIONS", "300"))
FORMATS = Settings.model_fields["image_formats"].default
MAX_PIXELS = 1_000_000
PHOTO = load_photo("astronaut.png").resize((96, 72))
LARGEST_CHANGE = 32

CHECKED = {"baseline JPEG", "progressive JPEG", "PNG", "TIFF of JPEG"}
"""Formats in which more is found than Pillow finds: by warnings and by checksums."""
REFUSALS = {
    ErrorCode.DECODE_ERROR,
    ErrorCode.TRUNCATED,
    ErrorCode.EMPTY_FILE,
    ErrorCode.NOT_AN_IMAGE,
    ErrorCode.UNSUPPORTED_FORMAT,
    ErrorCode.TOO_MANY_PIXELS,
}


def encode(form, **options):
    file = io.BytesIO()
    PHOTO.save(file, form, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def whole():
    pillow_heif.register_heif_opener()
    return {
        "baseline JPEG": encode("JPEG"),
        "progressive JPEG": encode("JPEG", progressive=True),
        "PNG": encode("PNG"),
        "lossy WebP": encode("WEBP"),
        "lossless WebP": encode("WEBP", lossless=True),
        "GIF": encode("GIF"),
        "BMP": encode("BMP"),
        "AVIF": encode("AVIF"),
        "HEIC": encode("HEIF"),
        "deflated TIFF": encode("TIFF", compression="tiff_adobe_deflate"),
        "TIFF of JPEG": encode("TIFF", compression="jpeg"),
        "JPEG XL": encode("JXL"),
    }


def mutate(data, chance):
    """Flip a bit, cut the end off, or overwrite, remove or insert some bytes."""
    place, length = chance.randrange(len(data)), chance.randrange(1, LARGEST_CHANGE)
    noise = chance.randbytes(length)
    return chance.choice(
        [
            data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :],
            data[:place],
            data[:-length],
            data[:place] + noise + data[place + length :],
            data[:place] + bytes(length) + data[place + length :],
            data[:place] + data[place + length :],
            data[:place] + noise + data[place:],
        ]
    )


def pillow_reads(data):
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
    except (Image.DecompressionBombError, *DAMAGE):
        return False
    return True


def verdict(read):
    """Return a code, or whether the photo is incomplete."""
    try:
        return read().incomplete
    except ImageUnreadable as error:
        return error.code


def test_what_pillow_refuses_is_refused_or_marked_at_every_scale(whole):
    chance = random.Random(20260301)
    limits = {"formats": FORMATS, "max_pixels": MAX_PIXELS}
    found = {name: set() for name in whole}
    for turn in range(COUNT):
        name = list(whole)[turn % len(whole)]
        data = mutate(whole[name], chance)
        end = verdict(lambda data=data: decode_whole(data, **limits))
        assert verdict(lambda data=data: decode_picture(data, **limits, copy_side=24)) == end
        assert end in REFUSALS or isinstance(end, bool)
        if pillow_reads(data):
            assert name in CHECKED or end in (False, ErrorCode.TOO_MANY_PIXELS), (turn, name, end)
        else:
            assert end is not False, (turn, name)
            assert end is not True or "JPEG" in name, (turn, name)
        found[name].add(end)
    # The mutations do damage: this test would see nothing if they left every file whole.
    # A JPEG XL file without boxes does not say how long it is.
    assert ErrorCode.DECODE_ERROR in found.pop("JPEG XL")
    assert all(ErrorCode.TRUNCATED in ends for ends in found.values())


def test_files_without_damage_are_whole(whole):
    for data in whole.values():
        assert pillow_reads(data)
        assert not decode_whole(data, formats=FORMATS, max_pixels=MAX_PIXELS).incomplete
