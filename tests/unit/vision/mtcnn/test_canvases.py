"""Sheets and patches show what the photo alone would show, whatever canvas it lies on."""

import numpy as np

from facetag.vision.mtcnn.area_resize import reduce_by_area
from facetag.vision.mtcnn.canvases import GREY, Canvases, canvas_shape
from facetag.vision.mtcnn.pyramid import MARGIN


def test_sheets_show_each_photos_levels_in_their_corners_and_grey_between_them():
    rng = np.random.default_rng(5)
    copies = [rng.integers(0, 256, size, np.uint8) for size in [(60, 100, 3), (52, 97, 3)]]
    sheets = list(Canvases(copies, [20, 20]).sheets())
    assert [len(sheet.levels) for sheet, _ in sheets] == [1, 4]
    for sheet, drawn in sheets:
        assert drawn.shape == (2, *sheet.shape, 3)
        for level, (top, left) in zip(sheet.levels, sheet.corners, strict=True):
            for photo, (height, width) in zip(level.photos, level.sizes, strict=True):
                place = drawn[photo, top + MARGIN :, left + MARGIN :][:height, :width]
                (alone,) = reduce_by_area(copies[photo], [(height, width)])
                assert np.array_equal(place, alone)
                place[:] = GREY
        assert (drawn == GREY).all()


def test_a_photo_that_is_far_smaller_than_a_cell_has_no_sheet():
    assert list(Canvases([np.zeros((13, 300, 3), np.uint8)], [20]).sheets()) == []


def test_patches_are_those_of_the_photo_without_its_canvas():
    import tensorflow as tf

    rng = np.random.default_rng(3)
    copies = [rng.integers(0, 256, (size, 70, 3), np.uint8) for size in (50, 64)]
    assert canvas_shape(copies[0]) == canvas_shape(copies[1])
    canvases = Canvases(copies, [20, 20])
    boxes = np.array([[10, 5, 40, 45], [3.5, 20, 69, 39.25]], np.float32)
    for photo, copy in enumerate(copies):
        ours = canvases.cut(boxes, np.full(2, photo, np.int32), 24)
        height, width = copy.shape[:2]
        corners = boxes[:, [1, 0, 3, 2]] / np.array([height, width, height, width], np.float32)
        alone = tf.image.crop_and_resize(copy[None], corners, [0, 0], (24, 24))
        assert np.allclose(ours, alone, atol=0.05)


def test_patches_show_grey_beyond_the_canvas_as_tensorflow_does():
    import tensorflow as tf

    rng = np.random.default_rng(4)
    copy = rng.integers(0, 256, (64, 128, 3), np.uint8)
    assert canvas_shape(copy) == (64, 128)
    boxes = np.array([[-30, -8, 60, 200], [100, 10, 180, 50], [-9, -9, -1, -1]], np.float32)
    ours = Canvases([copy], 0.04).cut(boxes, np.zeros(3, np.int32), 48)
    corners = boxes[:, [1, 0, 3, 2]] / np.array([64, 128, 64, 128], np.float32)
    expected = tf.image.crop_and_resize(
        copy[None], corners, [0, 0, 0], (48, 48), extrapolation_value=GREY
    )
    assert np.allclose(ours, expected, atol=0.05)
    assert (ours[2] == GREY).all()
