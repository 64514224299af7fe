"""Pillow's limit of size is left to the program."""

import io

import pytest
from PIL import Image

from facetag.vision.formats.pillow_limit import open_any_size


@pytest.mark.parametrize("limit", [4, None])
def test_any_size_is_opened_and_the_limit_stays(monkeypatch, limit):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    file = io.BytesIO()
    Image.new("L", (20, 10)).save(file, "PNG")
    assert open_any_size(file).size == (20, 10)
    with pytest.raises(Image.UnidentifiedImageError):
        open_any_size(io.BytesIO(b"no image"))
    with pytest.raises(Image.UnidentifiedImageError):
        open_any_size(file, formats=("JPEG",))
    assert limit == Image.MAX_IMAGE_PIXELS
