"""Every accepted format, every orientation and mode, and a code for whatever cannot be read."""

import io
import struct
import time
import zlib

import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401 - registers JPEG XL
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from facetag.errors import ErrorCode, ImageUnreadable
from facetag.settings import Settings
from facetag.vision.image_decoder import decode_image, decode_picture, needs_guard
from tests.raw_files import make_dng

pillow_heif.register_heif_opener()

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:PIL"),
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]

FORMATS = Settings.model_fields["image_formats"].default
MAX_PIXELS = Settings.model_fields["max_image_pixels"].default

QUADRANTS = np.zeros((32, 48, 3), np.uint8)
QUADRANTS[:16, :24] = (200, 30, 30)
QUADRANTS[:16, 24:] = (30, 200, 30)
QUADRANTS[16:, :24] = (30, 30, 200)
QUADRANTS[16:, 24:] = (220, 220, 60)


def decode(data, *, formats=FORMATS, max_pixels=MAX_PIXELS):
    return decode_image(data, formats=formats, max_pixels=max_pixels)


def encode(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def quadrants(form, **options):
    return encode(Image.fromarray(QUADRANTS), form, **options)


def centres(photo):
    """The colour at the centre of each quadrant."""
    height, width = photo.shape[:2]
    return [
        photo[height * y // 4, width * x // 4].astype(int)
        for y, x in [(1, 1), (1, 3), (3, 1), (3, 3)]
    ]


def code_of(data, **options):
    with pytest.raises(ImageUnreadable) as caught:
        decode(data, **options)
    assert str(caught.value)
    return caught.value.code


ENCODED = {
    "JPEG": quadrants("JPEG", quality=95, subsampling=0),
    "MPO": quadrants("MPO", save_all=True, append_images=[Image.new("RGB", (48, 32))]),
    "PNG": quadrants("PNG"),
    "WEBP": quadrants("WEBP", quality=95),
    "GIF": quadrants("GIF"),
    "BMP": quadrants("BMP"),
    "AVIF": quadrants("AVIF", quality=95),
    "HEIF": quadrants("HEIF", quality=95),
    "TIFF": quadrants("TIFF", save_all=True, append_images=[Image.new("RGB", (48, 32))]),
    "JXL": quadrants("JXL", quality=95),
    "RAW": make_dng(Image.fromarray(QUADRANTS)),
}


def test_the_samples_cover_the_formats_of_the_settings():
    assert set(ENCODED) == set(FORMATS)
    for form, data in ENCODED.items():
        with Image.open(io.BytesIO(data)) as image:
            assert image.format == ("TIFF" if form == "RAW" else form)


@pytest.mark.parametrize("form", FORMATS)
def test_every_accepted_format_is_read(form):
    photo = decode(ENCODED[form])
    assert photo.shape == (32, 48, 3)
    assert photo.dtype == np.uint8
    assert np.abs(np.array(centres(photo)) - centres(QUADRANTS)).max() < 25


@pytest.mark.parametrize("form", FORMATS)
def test_a_format_that_is_not_on_the_list_is_refused(form):
    others = tuple(other for other in FORMATS if other != form and {other, form} != {"TIFF", "RAW"})
    assert code_of(ENCODED[form], formats=others) == ErrorCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("form", ["JPEG2000", "ICO", "PPM", "TGA"])
def test_an_image_of_another_format_is_unsupported(form):
    assert code_of(quadrants(form)) == ErrorCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40), "JPEG 2000"),
        (b"8BPS\0\x01" + bytes(40), "Photoshop (PSD)"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"\xef\xbb\xbf<!-- > --><!-- b -->\n<!DOCTYPE svg>\n<svg:svg >", "SVG"),
        (quadrants("ICNS"), "Apple icons (ICNS)"),
        (quadrants("ICO"), "Windows icons (ICO)"),
    ],
)
def test_an_unsupported_format_is_named_with_what_to_do(start, name):
    with pytest.raises(ImageUnreadable) as caught:
        decode(start)
    assert caught.value.code == ErrorCode.UNSUPPORTED_FORMAT
    assert str(caught.value).startswith(f"{name} is not among the accepted formats (JPEG")
    assert "Convert it" in str(caught.value)


def test_the_tiles_of_a_tiff_file_may_not_be_larger_than_an_image_may():
    # Width, height, bits, uncompressed, black is 0, the tile's width, height, offset and bytes.
    tags = {256: 64, 257: 64, 258: 8, 259: 1, 262: 1, 322: 46_000, 323: 46_000, 324: 8, 325: 64}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    data = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    with pytest.raises(ImageUnreadable, match="46000x46000") as caught:
        decode(data)
    assert caught.value.code == ErrorCode.TOO_MANY_PIXELS


@pytest.mark.parametrize(
    "data",
    [quadrants("EPS")[:200] + b"a\n" * 4_000_000, b"<!---->" * 600, b"<!-->" * 800],
)
def test_a_foreign_file_costs_no_time(data):
    start = time.process_time()
    assert not needs_guard(data)
    assert code_of(data) in (ErrorCode.UNSUPPORTED_FORMAT, ErrorCode.NOT_AN_IMAGE)
    assert time.process_time() - start < 2


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "F", "P", "RGBA", "CMYK", "YCbCr", "LAB"])
def test_scans_of_every_mode_are_read_by_their_first_page(mode):
    pages = [Image.new("L", (24, 16), level) for level in (255, 0)]
    if mode == "LAB":
        pages = [Image.new("LAB", (24, 16), (page.getpixel((0, 0)), 128, 128)) for page in pages]
    elif mode == "I;16":
        pages = [Image.fromarray(np.asarray(page).astype(np.uint16) * 257) for page in pages]
    else:
        pages = [
            page.convert("RGB").convert(mode) if mode != "F" else page.convert("F")
            for page in pages
        ]
    data = encode(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    assert decode(data).min() > 250


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation_counts(form):
    later = [Image.new("RGB", (48, 32), colour) for colour in ("black", "white")]
    data = quadrants(form, save_all=True, append_images=later, duration=50)
    assert np.abs(np.array(centres(decode(data))) - centres(QUADRANTS)).max() < 45


TO_SENSOR = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: np.rot90(x, 1),
    7: lambda x: x[::-1, ::-1].transpose(1, 0, 2),
    8: lambda x: np.rot90(x, -1),
}
"""How a camera that was held so sees what is upright, by the EXIF standard's orientation."""


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_upright(form, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    sensor = Image.fromarray(np.ascontiguousarray(TO_SENSOR[orientation](QUADRANTS)))
    photo = decode(encode(sensor, form, quality=95, exif=exif))
    assert photo.shape == QUADRANTS.shape
    assert np.abs(np.array(centres(photo)) - centres(QUADRANTS)).max() < 25


@pytest.mark.parametrize("form", ["HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_container_that_turns_is_not_turned_twice(form, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    sensor = Image.fromarray(np.ascontiguousarray(TO_SENSOR[orientation](QUADRANTS)))
    # Both encoders turn the EXIF orientation into the container's own and keep the EXIF data.
    photo = decode(encode(sensor, form, quality=95, exif=exif.tobytes()))
    assert photo.shape == QUADRANTS.shape
    assert np.abs(np.array(centres(photo)) - centres(QUADRANTS)).max() < 25


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_does_not_exist_is_upright(orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    assert decode(quadrants("JPEG", exif=exif)).shape == QUADRANTS.shape


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0MM\0*\0",
        b"Exif\0\0" + b"rubbish that is no TIFF header",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12",
        b"Exif\0\0II*\0\x08\0\0\0\x02\0\x12\x01\x09\0\xff\xff\xff\x7f\xff\xff\xff\xff",
    ],
)
def test_damaged_exif_data_does_not_cost_the_photo(form, exif):
    assert decode(quadrants(form, exif=exif)).shape == QUADRANTS.shape


def test_cmyk_becomes_rgb():
    photo = decode(encode(Image.fromarray(QUADRANTS).convert("CMYK"), "JPEG", quality=95))
    assert np.abs(np.array(centres(photo)) - centres(QUADRANTS)).max() < 25


def test_grey_of_16_bits_is_scaled_not_clipped():
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)
    photo = decode(encode(Image.fromarray(np.tile(ramp, (4, 1))), "PNG"))
    assert photo.shape == (4, 256, 3)
    assert photo[0, :, 0].tolist() == list(range(256))


def test_a_transparent_palette_lies_on_white():
    image = Image.new("P", (10, 10), 1)
    image.putpalette([0, 0, 0, 250, 0, 0])
    image.paste(0, (0, 0, 5, 10))
    photo = decode(encode(image, "PNG", transparency=0))
    assert photo[5, 2].tolist() == [255, 255, 255]
    assert photo[5, 8].tolist() == [250, 0, 0]


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("LA", (100, 255), 100),
        ("LA", (100, 0), 255),
        ("RGBA", (0, 0, 0, 127), 128),
        ("L", 77, 77),
        ("1", 1, 255),
        ("1", 0, 0),
    ],
)
def test_every_mode_becomes_rgb_on_white(mode, colour, expected):
    photo = decode(encode(Image.new(mode, (6, 4), colour), "PNG"))
    assert photo.shape == (4, 6, 3)
    assert (photo == expected).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1)])
def test_the_smallest_and_thinnest_photos_are_read(size):
    assert decode(encode(Image.new("RGB", size), "PNG")).shape == (size[1], size[0], 3)


def test_an_empty_file_has_its_own_code():
    assert code_of(b"") == ErrorCode.EMPTY_FILE


@pytest.mark.parametrize(
    "data", [b"just a text", b"\0" * 500, b"%PDF-1.7\n", "größe".encode() * 90]
)
def test_what_is_no_image_is_told_so(data):
    assert code_of(data) == ErrorCode.NOT_AN_IMAGE


NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (90, 120, 3), np.uint8))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF", "HEIF"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_file_that_ends_early_is_truncated(form, share):
    data = encode(NOISE, form)
    assert code_of(data[: int(share * len(data))]) == ErrorCode.TRUNCATED


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_file_that_breaks_off_in_its_header_is_damaged_not_foreign(form):
    damaged = {ErrorCode.TRUNCATED, ErrorCode.DECODE_ERROR}
    assert {code_of(ENCODED[form][:length]) for length in (12, 16, 20)} <= damaged


def test_a_chunk_of_another_length_is_a_decode_error():
    data = bytearray(encode(NOISE, "PNG"))
    data[data.index(b"IDAT") : data.index(b"IDAT") + 4] = b"\x01\x02\x03\x04"
    assert code_of(bytes(data)) == ErrorCode.DECODE_ERROR


def png_header(width, height):
    """A PNG of the stated size whose pixels are missing: only the header can be refused."""
    chunks = b"\x89PNG\r\n\x1a\n"
    for kind, body in [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0" * 64)),
        (b"IEND", b""),
    ]:
        chunks += struct.pack(">I", len(body)) + kind + body
        chunks += struct.pack(">I", zlib.crc32(kind + body))
    return chunks


@pytest.mark.parametrize(
    "size", [(60_000, 60_000), (30_000, 30_000), (25_000, 10_001), (1, 2**31 - 1)]
)
def test_a_decompression_bomb_is_refused_by_its_header(size):
    assert code_of(png_header(*size)) == ErrorCode.TOO_MANY_PIXELS


def test_a_photo_of_200_megapixels_is_below_the_cap():
    # Its missing pixels are noticed, so it has been read.
    assert code_of(png_header(16_320, 12_240)) == ErrorCode.TRUNCATED


@pytest.mark.parametrize("size", [(25_000, 10_001), (60_000, 60_000)])
def test_the_message_about_too_many_pixels_names_the_setting(size):
    with pytest.raises(ImageUnreadable, match="FACETAG_MAX_IMAGE_PIXELS"):
        decode(png_header(*size))


def test_the_pixel_cap_is_exact():
    data = quadrants("PNG")
    assert decode(data, max_pixels=48 * 32).shape == (32, 48, 3)
    assert code_of(data, max_pixels=48 * 32 - 1) == ErrorCode.TOO_MANY_PIXELS


def decode_or_refuse(data):
    try:
        photo = decode(data, max_pixels=1_000_000)
    except ImageUnreadable:
        return
    assert photo.ndim == 3
    assert photo.dtype == np.uint8


FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
STARTS = [
    b"",
    b"\xff\xd8\xff\xe0",
    b"\x89PNG\r\n\x1a\n",
    b"RIFF\x40\0\0\0WEBPVP8X",
    b"GIF89a",
    b"BM",
]
STARTS += [b"\0\0\0\x18ftypheic", b"\0\0\0\x18ftypavif", b"II*\0", b"\0\0\1\0", b"8BPS", b"DDS "]


@FUZZ
@given(st.sampled_from(STARTS), st.binary(max_size=300))
def test_random_bytes_are_refused_or_read(start, data):
    decode_or_refuse(start + data)


@FUZZ
@given(st.sampled_from(sorted(ENCODED)), st.floats(0, 1))
def test_a_file_cut_anywhere_is_refused_or_read(form, share):
    decode_or_refuse(ENCODED[form][: int(share * len(ENCODED[form]))])


@FUZZ
@given(
    st.sampled_from(sorted(ENCODED)),
    st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=4)), max_size=6),
)
def test_a_file_with_bytes_overwritten_is_refused_or_read(form, changes):
    data = bytearray(ENCODED[form])
    for place, values in changes:
        start = int(place * len(data))
        data[start : start + len(values)] = values
    decode_or_refuse(bytes(data))


def test_an_avif_file_may_lie_about_its_size_and_is_guarded():
    data = ENCODED["AVIF"]
    size = data.index(b"ispe") + 8
    liar = data[:size] + struct.pack(">II", 8, 4) + data[size + 8 :]
    # The decoder reads the whole picture and then reduces it.
    assert decode(liar, max_pixels=64).shape == (4, 8, 3)
    assert needs_guard(liar)


def test_much_memory_is_foreseen_by_the_header():
    assert needs_guard(png_header(6000, 6000))
    assert not needs_guard(png_header(5000, 5000))
    assert not needs_guard(encode(Image.new("L", (6000, 6000)), "JPEG"))
    assert not needs_guard(b"no image")
    # Of a TIFF file's 64 x 64 pixels, a tile may be 46,000 x 46,000.
    assert needs_guard(encode(Image.new("L", (64, 64)), "TIFF"))
    small = encode(Image.new("L", (8, 8)), "PNG")
    empty = b"\0\0\0\0teXt" + zlib.crc32(b"teXt").to_bytes(4, "big")
    assert not needs_guard(small[:33] + empty * 10_000 + small[33:])
    assert needs_guard(small[:33] + empty * 30_000 + small[33:])
    gif = encode(Image.new("L", (8, 8)), "GIF")
    assert not needs_guard(gif)
    assert needs_guard(gif + bytes(2**20))


def test_a_jpeg_of_200_megapixels_is_read_reduced_in_little_memory():
    file = io.BytesIO()
    Image.linear_gradient("L").resize((16_320, 12_240)).save(file, "JPEG", quality=20)
    limits = {"formats": ("JPEG",), "max_pixels": MAX_PIXELS}
    picture = decode_picture(file.getvalue(), copy_side=1000, **limits)
    assert (picture.width, picture.height) == (16_320, 12_240)
    assert picture.decoded.shape == (1530, 2040, 3)
    assert not needs_guard(file.getvalue())


def test_a_very_large_photo_of_another_format_is_reduced_once_it_is_decoded(monkeypatch):
    monkeypatch.setattr("facetag.vision.image_decoder.MANY_PIXELS", 30_000)
    file = io.BytesIO()
    Image.linear_gradient("L").resize((400, 300)).save(file, "PNG")
    limits = {"formats": ("PNG",), "max_pixels": MAX_PIXELS}
    picture = decode_picture(file.getvalue(), copy_side=100, **limits)
    assert (picture.width, picture.height, picture.decoded.shape) == (400, 300, (150, 200, 3))
    assert picture.copy.shape == (75, 100, 3)
    assert [picture.at_least(scale).shape[1] for scale in (0.4, 0.7, 1.0)] == [200, 280, 400]
