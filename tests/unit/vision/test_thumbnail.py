import io

import numpy as np
import pytest
from PIL import Image

from facetag.vision.thumbnail import make_thumbnail


def test_a_thumbnail_is_a_small_jpeg_of_the_same_shape():
    pixels = np.zeros((600, 900, 3), np.uint8)
    pixels[:, 450:] = (250, 10, 10)
    with Image.open(io.BytesIO(make_thumbnail(Image.fromarray(pixels), 300))) as image:
        assert (image.format, image.size) == ("JPEG", (300, 200))
        red, green, _ = image.convert("RGB").getpixel((250, 100))
    assert red > 230
    assert green < 40


@pytest.mark.parametrize(("long", "becomes"), [(30, 30), (400, 400), (1000, 334), (1100, 367)])
def test_the_long_side_comes_near_to_the_one_that_is_asked_for(long, becomes):
    data = make_thumbnail(Image.new("RGB", (long, long // 2)), 360)
    with Image.open(io.BytesIO(data)) as image:
        assert image.size[0] == becomes
