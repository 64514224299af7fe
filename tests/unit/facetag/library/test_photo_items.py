"""Photos that a program gives as pixels."""

import io

import numpy as np
import pytest
from PIL import Image

from facetag.errors import ErrorCode, ImageUnreadable, InputInvalid
from facetag.inputs.photo_files import FoundPhotos
from facetag.library.photo_items import list_items, read_item, to_pixels
from facetag.vision.image_decoder import decode_image

RAMP = np.linspace(0, 1, 64 * 48).reshape(48, 64)


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray((RAMP * 65535).astype(np.uint16)),
        Image.fromarray((RAMP * 65535).astype(np.int32)),
        Image.fromarray(RAMP.astype(np.float32)),
        Image.fromarray((RAMP * 255).astype(np.uint8)).convert("LA"),
        Image.fromarray((RAMP * 255).astype(np.uint8)).convert("P"),
    ],
    ids=lambda image: image.mode,
)
def test_an_image_of_any_mode_looks_as_its_file_does(image):
    file = io.BytesIO()
    image.save(file, "TIFF" if image.mode != "LA" else "PNG")
    from_file = decode_image(file.getvalue(), formats=("PNG", "TIFF"), max_pixels=10**6)
    assert np.array_equal(to_pixels(image, 10**6), from_file)
    assert 100 < from_file.mean() < 155


def test_a_folder_below_that_cannot_be_listed_is_warned_of(tmp_path, monkeypatch):
    found = FoundPhotos((tmp_path,), closed_folders=["private"], foreign_links=["theirs"])
    monkeypatch.setattr("facetag.library.photo_items.collect_photos", lambda _: found)
    with pytest.warns(UserWarning, match="photos are left out") as warned:
        assert list_items(tmp_path)[1] == 0
    assert [str(one.message).partition(" in ")[0] for one in warned] == ["private", "theirs"]


@pytest.mark.parametrize("name", ["missing.jpg", "missing.tar"])
def test_a_file_that_is_missing_keeps_its_name(tmp_path, name):
    path = tmp_path / name
    for given in (path, [path]):
        (item,), _ = list_items(given)
        assert item.name == path.as_posix()


def jpeg():
    file = io.BytesIO()
    Image.fromarray((RAMP * 255).astype(np.uint8)).save(file, "JPEG")
    return file.getvalue()


def opened(data):
    return Image.open(io.BytesIO(data))


def closed():
    image = Image.new("RGB", (8, 8))
    image.close()
    return image


@pytest.mark.parametrize(
    ("photo", "code"),
    [
        (opened(jpeg()[:-99]), ErrorCode.TRUNCATED),
        (closed(), ErrorCode.DECODE_ERROR),
        (Image.new("RGB", (0, 5)), ErrorCode.NOT_AN_IMAGE),
        (opened(jpeg()), ErrorCode.TOO_MANY_PIXELS),
        (np.zeros((48, 64, 3), np.uint8), ErrorCode.TOO_MANY_PIXELS),
    ],
)
def test_pixels_that_cannot_be_used_have_the_code_of_their_file(photo, code):
    most = 48 * 64 - 1 if code is ErrorCode.TOO_MANY_PIXELS else 10**6
    with pytest.raises(ImageUnreadable) as caught:
        to_pixels(photo, most)
    assert caught.value.code is code


def test_damaged_exif_data_do_not_cost_an_image():
    image = Image.new("RGB", (64, 48))
    image.info["exif"] = b"Exif\0\0MM\0*\xff\xff"
    assert to_pixels(image, 10**6).shape == (48, 64, 3)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_of_every_kind_are_a_file(kind):
    (item,), number = list_items(kind(jpeg()))
    assert (item.name, number) == ("0", 1)
    assert read_item(item, 10**6) == jpeg()


@pytest.mark.parametrize("as_iterator", [False, True])
@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (io.BytesIO(b"a.jpg\nb.jpg"), "A BytesIO is not a photo: give its bytes"),
        (None, "A NoneType is not a photo"),
        ("", "'' is not a path"),
        ("a\0.jpg", "is not a path"),
        ("https://example.org/a.jpg", "https://example.org/a.jpg lies in the web: download it"),
    ],
)
def test_what_cannot_be_a_photo_is_refused_with_the_way_out(given, reason, as_iterator):
    with pytest.raises(InputInvalid, match=reason):
        list(list_items(iter([given]) if as_iterator else given)[0])
