"""Photos that a program gives as pixels."""

import io

import numpy as np
import pytest
from PIL import Image

from facetag.inputs.photo_files import FoundPhotos
from facetag.library.photo_items import list_items, to_pixels
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
    assert np.array_equal(to_pixels(image), from_file)
    assert 100 < from_file.mean() < 155


def test_a_folder_below_that_cannot_be_listed_is_warned_of(tmp_path, monkeypatch):
    found = FoundPhotos((tmp_path,), closed_folders=["private"], foreign_links=["theirs"])
    monkeypatch.setattr("facetag.library.photo_items.collect_photos", lambda _: found)
    with pytest.warns(UserWarning, match="photos are left out") as warned:
        assert list_items(tmp_path)[1] == 0
    assert [str(one.message).partition(" in ")[0] for one in warned] == ["private", "theirs"]
