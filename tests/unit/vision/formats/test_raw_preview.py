import io

import numpy as np
import pytest
from PIL import Image

from benchmarks.samples import encode, load_photo
from facetag.errors import ErrorCode, ImageUnreadable
from facetag.settings import Settings
from facetag.vision.formats.raw_preview import is_raw, read_preview
from facetag.vision.image_decoder import decode_image, decode_picture, needs_guard
from tests.raw_files import make_dng

LIMITS = {
    "formats": Settings.model_fields["image_formats"].default,
    "max_pixels": Settings.model_fields["max_image_pixels"].default,
}
PHOTO = load_photo("astronaut.png").resize((200, 160))


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_a_raw_file_is_read_by_its_preview_turned_upright(orientation, turns):
    data = make_dng(PHOTO, orientation=orientation)
    shown = np.rot90(np.asarray(PHOTO), turns).astype(int)
    for read in (
        decode_image(data, **LIMITS),
        decode_picture(data, **LIMITS, copy_side=400).at_least(1),
    ):
        assert np.abs(np.asarray(read).astype(int) - shown).mean() < 4


def test_raw_files_are_told_from_tiff_files():
    raw, tiff, scan = make_dng(PHOTO), encode(PHOTO, "TIFF"), io.BytesIO()
    tags = Image.Exif()
    tags[271] = "Acme scanners"
    PHOTO.save(scan, "TIFF", exif=tags)
    assert [is_raw(raw), is_raw(tiff), is_raw(scan.getvalue())] == [True, False, False]
    assert needs_guard(raw)


def test_damaged_and_foreign_raw_files_say_what_is_wrong():
    whole = make_dng(PHOTO)
    with pytest.raises(ImageUnreadable, match="damaged") as caught:
        decode_image(whole[:-200], **LIMITS)
    assert caught.value.code == ErrorCode.DECODE_ERROR
    with pytest.raises(ImageUnreadable, match="ends before") as caught:
        decode_image(whole[: len(whole) // 2], **LIMITS)
    assert caught.value.code == ErrorCode.TRUNCATED
    for start in (b"II*\0\x10\0\0\0CR\x02\0", b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom"):
        with pytest.raises(ImageUnreadable, match="Convert it") as caught:
            read_preview(start + bytes(400))
        assert caught.value.code == ErrorCode.UNSUPPORTED_FORMAT
