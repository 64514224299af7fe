import io

import numpy as np
from PIL import Image
from skimage import data

from facetag.results.duplicates import Duplicates
from facetag.vision.difference_hash import difference_hash, hash_look


def encoded(photo, scale, quality):
    """The photo reduced and encoded again, as sites do it."""
    image = Image.fromarray(photo)
    image = image.resize((int(image.width * scale), int(image.height * scale)))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def test_a_photo_that_was_encoded_again_repeats_it_and_another_photo_does_not():
    photos = [data.astronaut(), data.coffee(), data.chelsea()]
    copies = [encoded(photo, 0.7, 60) for photo in photos]
    duplicates = Duplicates()
    placed = [
        duplicates.place(position, None, hash_look(Image.fromarray(photo)))
        for position, photo in enumerate([*photos, *copies])
    ]
    assert placed == [None, None, None, 0, 1, 2]


def test_a_blank_photo_has_no_look():
    blank = np.full((100, 120, 3), 200, np.uint8)
    assert hash_look(Image.fromarray(blank)) is None
    assert (
        hash_look(Image.fromarray(data.astronaut())) == difference_hash(data.astronaut()).tobytes()
    )
