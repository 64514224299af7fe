import io

import numpy as np
from PIL import Image

from facetag.vision.photo import whole_picture
from facetag.vision.thumbnail import make_thumbnail


def test_a_thumbnail_is_a_small_webp_of_the_same_shape():
    pixels = np.zeros((600, 900, 3), np.uint8)
    pixels[:, 450:] = (250, 10, 10)
    with Image.open(io.BytesIO(make_thumbnail(whole_picture(pixels, 800), 360))) as image:
        assert (image.format, image.size) == ("WEBP", (360, 240))
        red, green, _ = image.convert("RGB").getpixel((300, 100))
    assert red > 230
    assert green < 40


def test_a_photo_that_is_small_already_is_not_enlarged():
    data = make_thumbnail(whole_picture(np.zeros((20, 30, 3), np.uint8), 800), 360)
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (30, 20)
