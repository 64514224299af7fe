"""Jitter follows from its random numbers alone and keeps what it should."""

from dataclasses import replace

import numpy as np
import pytest

from facetag_trainer.data.augmentation import Jitter, centre_crop, jitter_crop
from tests.unit.trainer.chips import waves

SIZE, CANVAS = 64, 80


def corners(x1, y1, x2, y2):
    return np.float32([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])


WHOLE = corners(-5, -5, 100, 100)
JITTER = Jitter()
STILL = Jitter(
    scale=0,
    shift=0,
    rotation_degrees=0,
    background=0,
    covered=0,
    blur=0,
    low_resolution=0,
    colour=0,
    gamma=0,
    cast=0,
    grey=0,
    noise=0,
    compression=0,
)


def canvas_of(seed=0):
    return waves(np.random.default_rng(seed), CANVAS)


def jittered(jitter=JITTER, seed=1, inside=WHOLE, canvas=None):
    canvas = canvas_of() if canvas is None else canvas
    rng = np.random.default_rng(seed)
    return jitter_crop(canvas, inside, SIZE, jitter, rng, canvas_of(9))


def test_the_same_numbers_give_the_same_crop_and_others_another():
    assert np.array_equal(jittered(seed=3), jittered(seed=3))
    assert not np.array_equal(jittered(seed=3), jittered(seed=4))


def test_a_crop_has_the_networks_size_and_changes_nothing_that_it_was_given():
    canvas = canvas_of()
    before = canvas.copy()
    for seed in range(20):
        crop = jittered(seed=seed, canvas=canvas, inside=corners(10, 0, 70, 80))
        assert crop.shape == (SIZE, SIZE, 3)
        assert crop.dtype == np.uint8
    assert np.array_equal(canvas, before)


def test_without_jitter_a_crop_is_the_centre_or_its_mirror_image():
    centre = centre_crop(canvas_of(), SIZE)
    seen = set()
    for seed in range(12):
        crop = jittered(STILL, seed=seed)
        mirrored = not np.array_equal(crop, centre)
        assert not mirrored or np.array_equal(crop, centre[:, ::-1])
        seen.add(mirrored)
    assert seen == {True, False}


@pytest.mark.parametrize("seed", range(8))
def test_what_lies_inside_the_image_is_kept_when_its_surroundings_change(seed):
    inside = corners(20.4, 12.0, 80.0, 61.7)
    crop = jittered(replace(STILL, background=1), seed=seed, inside=inside)
    centre = centre_crop(canvas_of(), SIZE)
    if not np.array_equal(crop[20, 20:44], centre[20, 20:44]):
        crop = crop[:, ::-1]
    # On the crop the image reaches from 12.4 (20.4 less the margin of 8) and from 4 to 53.7.
    assert np.array_equal(crop[4:53, 13:], centre[4:53, 13:])
    assert not np.array_equal(crop[:, :12], centre[:, :12])
    assert not np.array_equal(crop[54:], centre[54:])


def test_the_surroundings_of_a_turned_image_change_up_to_its_edges():
    diamond = np.float32([(40, 0), (80, 40), (40, 80), (0, 40)])
    crop = jittered(replace(STILL, background=1), inside=diamond)
    centre = centre_crop(canvas_of(), SIZE)
    if not np.array_equal(crop[32, 20:44], centre[32, 20:44]):
        crop = crop[:, ::-1]
    assert np.array_equal(crop[16:48, 16:48], centre[16:48, 16:48])
    assert not np.array_equal(crop[:10, :10], centre[:10, :10])
    assert not np.array_equal(crop[-10:, -10:], centre[-10:, -10:])


def test_surroundings_are_not_touched_where_the_image_fills_the_canvas():
    crop = jittered(replace(STILL, background=1), inside=WHOLE)
    centre = centre_crop(canvas_of(), SIZE)
    assert np.array_equal(crop, centre) or np.array_equal(crop, centre[:, ::-1])


@pytest.mark.parametrize(
    "change",
    [
        {"scale": 0.1},
        {"shift": 0.05},
        {"rotation_degrees": 10},
        {"low_resolution": 1, "smallest_side": 12},
        {"compression": 1},
        {"colour": 0.25},
        {"grey": 1},
        {"covered": 1},
        {"blur": 1, "widest_blur": 0.05},
        {"gamma": 1},
        {"cast": 1},
        {"noise": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_change_changes_the_crop_but_not_beyond_recognition(change):
    seen = 0
    for seed in range(6):
        still = jittered(STILL, seed=seed)
        changed = jittered(replace(STILL, **change), seed=seed)
        if np.array_equal(still[:, ::-1], still):
            continue
        difference = np.abs(changed.astype(int) - still)
        mirrored = np.abs(changed.astype(int) - still[:, ::-1])
        seen += difference.any()
        assert min(difference.mean(), mirrored.mean()) < 60
    # A draw may be next to nothing.
    assert seen >= 4


def test_the_centre_is_cut_from_the_middle():
    canvas = np.zeros((10, 10, 3), np.uint8)
    canvas[2:8, 2:8] = 1
    assert centre_crop(canvas, 6).all()
