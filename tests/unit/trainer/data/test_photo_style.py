"""Known photos take the colours and the sharpness of new ones, and stay the same photos."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from facetag_trainer.data.photo_style import NO_DONOR, make_transfer, read_style, transfer_style

SIDE = 64
INK, PAPER = np.array([10, 30, 110]), np.array([225, 240, 245])


def photo(seed):
    """Return coloured content with details of every size."""
    rng = np.random.default_rng(seed)
    layers = [
        Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)).resize((SIDE, SIDE))
        for side in (4, 16, 64)
    ]
    return np.mean([np.asarray(layer, float) for layer in layers], axis=0).astype(np.uint8)


def print_in_ink(pixels):
    tones = pixels.mean(axis=2, keepdims=True) / 255
    return (INK + (PAPER - INK) * tones).astype(np.uint8)


def blur(pixels):
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(2)))


def give(change):
    """Return a photo, and the same in the style that a change gave another one."""
    own = photo(1)
    return own, transfer_style(own, read_style(photo(2)), read_style(change(photo(2))))


def fineness(pixels):
    grey = pixels.mean(axis=2)
    return np.abs(np.diff(grey, axis=1)).mean() / grey.std()


def test_a_photo_in_the_colours_of_a_print_is_nearly_that_print():
    own, restyled = give(print_in_ink)
    assert np.abs(restyled - print_in_ink(own).astype(float)).mean() < 6
    assert np.abs(own - print_in_ink(own).astype(float)).mean() > 30


def test_a_photo_in_the_look_of_blurred_ones_is_as_blurred():
    own, restyled = give(blur)
    assert fineness(restyled) == pytest.approx(fineness(blur(own)), rel=0.25)
    assert fineness(own) > 2 * fineness(restyled)


def test_the_usual_style_changes_hardly_anything_and_sharpens_nothing():
    own, same = give(lambda pixels: pixels)
    assert np.abs(same - own.astype(float)).mean() < 2
    blurred, style = blur(own), read_style(own)
    assert fineness(transfer_style(blurred, read_style(blurred), style)) < 1.1 * fineness(blurred)


def test_grey_photos_can_take_colours_and_flat_ones_do_no_harm():
    grey = np.repeat(photo(1).mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    restyled = transfer_style(grey, read_style(grey), read_style(print_in_ink(grey)))
    assert np.abs(restyled - print_in_ink(grey).astype(float)).mean() < 6
    flat = np.full((SIDE, SIDE, 3), 90, np.uint8)
    assert np.array_equal(transfer_style(flat, read_style(flat), read_style(flat)), flat)


def test_a_style_is_given_beside_the_usual_one_of_its_own_group(tiny_cache):
    count = len(tiny_cache.validation)
    race = np.array([0.0] * (count // 2) + [1.0] * (count - count // 2), np.float32)
    crops = np.array([photo(index) // (1 + int(race[index])) for index in range(count)])
    cache = replace(tiny_cache, crops=crops, labels={**tiny_cache.labels, "race": race})
    donors = np.full(count, NO_DONOR)
    donors[:3] = (5, count - 1, 5)
    transfer = make_transfer(cache, donors, np.arange(count))
    assert set(transfer.styles) == set(transfer.usual) == {5, count - 1}
    assert transfer.usual[5].mean.mean() > 1.8 * transfer.usual[count - 1].mean.mean()
    assert np.array_equal(transfer.show(4, crops[4]), crops[4])
    assert np.abs(transfer.show(1, crops[1]) - crops[1].astype(float)).mean() < 20
    # Of a label that is missing, everybody's style is the usual one.
    unknown = {**tiny_cache.labels, "race": np.full(count, np.nan, np.float32)}
    styles = make_transfer(replace(cache, labels=unknown), donors, np.arange(count)).usual
    assert styles[5].mean == pytest.approx(styles[count - 1].mean)
