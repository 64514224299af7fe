import io

import pillow_jxl  # noqa: F401 - registers the format
import pytest
from PIL import Image

from facetag.errors import ErrorCode, ImageUnreadable
from facetag.vision.formats.jpeg_xl_size import read_size
from facetag.vision.image_decoder import decode_image, needs_guard


@pytest.mark.parametrize("size", [(1, 1), (256, 64), (777, 333), (1920, 1080), (9000, 40)])
@pytest.mark.parametrize("options", [{}, {"exif": b"II*\0" + bytes(20)}])
def test_the_size_is_read_from_the_bare_and_from_the_boxed_header(size, options):
    file = io.BytesIO()
    Image.new("RGB", size).save(file, "JXL", **options)
    assert read_size(file.getvalue()) == size


def test_what_has_no_header_has_no_size():
    assert read_size(b"") is None
    assert read_size(b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(30)) is None


def test_a_huge_file_is_refused_by_its_header_and_others_are_guarded():
    file = io.BytesIO()
    Image.new("RGB", (3000, 2000)).save(file, "JXL")
    assert needs_guard(file.getvalue())
    # Only its first bytes: nothing else is looked at.
    with pytest.raises(ImageUnreadable) as caught:
        decode_image(file.getvalue()[:40], formats=("JXL",), max_pixels=5_999_999)
    assert caught.value.code == ErrorCode.TOO_MANY_PIXELS
