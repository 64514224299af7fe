"""Reduced by area, a photo is what TensorFlow, and so the `mtcnn` package, reduces it to."""

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from facetag.vision.mtcnn.area_resize import reduce_by_area

SIDE = st.integers(1, 700)


def noise(height, width):
    return np.random.default_rng(height + width).integers(0, 256, (height, width, 3), np.uint8)


@settings(deadline=None, max_examples=60)
@given(SIDE, SIDE, st.lists(st.floats(0.01, 1), min_size=1, max_size=4))
def test_it_is_what_tensorflow_gives(height, width, scales):
    photo = noise(height, width)
    sizes = [(max(1, int(height * scale)), max(1, int(width * scale))) for scale in scales]
    for size, reduced in zip(sizes, reduce_by_area(photo, sizes), strict=True):
        expected = tf.raw_ops.ResizeArea(images=photo[None], size=size, align_corners=False)[0]
        assert reduced.dtype == np.float32
        assert reduced.shape == expected.shape
        assert np.allclose(reduced, expected, atol=1e-3)


def test_the_mean_is_kept_and_the_whole_size_changes_nothing():
    photo = noise(123, 77)
    whole, tiny = reduce_by_area(photo, [(123, 77), (1, 1)])
    assert np.allclose(whole, photo, atol=1e-3)
    assert np.allclose(tiny[0, 0], photo.mean(axis=(0, 1)), atol=1e-2)
