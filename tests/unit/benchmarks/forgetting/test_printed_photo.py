"""Photos in one ink on coloured paper."""

import numpy as np
import pytest

from benchmarks.forgetting.printed_photo import Print, print_photo

INK, PAPER = (10, 20, 30), (250, 230, 210)
RAMP = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 60, axis=0).repeat(3, axis=2)


def test_black_becomes_ink_and_white_paper():
    shown = print_photo(RAMP, Print(INK, PAPER), 1)
    assert tuple(shown[0, 0]) == INK
    assert tuple(shown[0, -1]) == PAPER
    assert (np.diff(shown.astype(int), axis=1) >= 0).all()


def test_dots_keep_how_dark_an_area_is_and_lie_elsewhere_in_every_photo():
    printed = Print((0, 0, 0), (255, 255, 255), dots=4)
    shown = print_photo(RAMP, printed, 1)
    tones = shown[..., 0].reshape(60, 8, 32).mean(axis=(0, 2))
    assert tones == pytest.approx(RAMP[..., 0].reshape(60, 8, 32).mean(axis=(0, 2)), abs=30)
    assert shown[..., 0].std(axis=0).max() > 60
    assert (print_photo(RAMP, printed, 1) == shown).all()
    assert (print_photo(RAMP, printed, 2) != shown).any()
