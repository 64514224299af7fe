"""Show photos in the style of others: their colours, and how sharp they are.

A few hundred photos of a new collection tell a network little about ages and genders in their
light. Known photos tell it more once they look alike. Colours go by the linear map that moves one
normal distribution onto another (Pitié and Kokaram 2007, "The linear Monge-Kantorovitch linear
colour mapping for example-based colour transfer"), details by the amplitudes of frequencies (as in
Yang and Soatto 2020, "FDA", arXiv:2004.05498).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from facetag.heads import RACE
from facetag_trainer.data.augmentation import centre_crop
from facetag_trainer.data.crop_cache import CropCache

Pixels = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float64]
BANDS, LOWEST = 12, 1 / 64
"""Bands of frequencies, and the lowest of them in waves a pixel; the highest has half a wave."""
COARSE = 4
"""The first bands, whose amplitude tells contrast and not detail."""
LEAST_VARIANCE = 4.0
"""In squared levels of 256: greys vary along one line of colours, and a line has no inverse."""
FEWEST = 20
"""With fewer known photos of a group, all are the usual ones."""
NO_DONOR = -1


@dataclass(frozen=True, slots=True)
class Style:
    """The colours and the sharpness of a photo, or the mean of several."""

    mean: Values
    """Of the channels (3,), in levels of 256."""
    covariance: Values
    """Of the channels (3, 3)."""
    detail: Values
    """Amplitude by band (BANDS,), as a share of that of the coarse bands."""


@dataclass(frozen=True, slots=True)
class StyleTransfer:
    """Shows known photos of a cache in the styles of new ones, their donors."""

    donors: npt.NDArray[np.intp]
    """For each sample (n,) the new photo that gives it its style, or NO_DONOR."""
    styles: Mapping[int, Style]
    """The style of each donor."""
    usual: Mapping[int, Style]
    """Beside it the usual style of known photos of the same group."""

    def show(self, index: int, canvas: Pixels) -> Pixels:
        """Return the canvas (c, c, 3) of a sample, in its donor's style, if it has one."""
        donor = int(self.donors[index])
        if donor == NO_DONOR:
            return canvas
        return transfer_style(canvas, self.usual[donor], self.styles[donor])


def make_transfer(
    cache: CropCache, donors: npt.NDArray[np.intp], known: npt.NDArray[np.intp]
) -> StyleTransfer:
    """Read the styles of a cache's donors, and the usual one from the photos with indices `known`.

    A style is compared with that of known faces of the same apparent race: otherwise skin would be
    taken for light.
    """
    before, races = [_read(cache, index) for index in known], cache.labels[RACE.name]
    of_race = {code: _usual_style(before, races[known] == code) for code in range(len(RACE.labels))}
    everybody = _usual_style(before, np.ones(len(known), bool))
    giving = [int(index) for index in np.unique(donors) if index != NO_DONOR]
    return StyleTransfer(
        donors,
        {index: _read(cache, index) for index in giving},
        {index: of_race.get(races[index], everybody) for index in giving},
    )


def _usual_style(styles: Sequence[Style], members: npt.NDArray[np.bool_]) -> Style:
    """Return the mean style of a group (mask (n,)), or of all if the group is small."""
    chosen = np.flatnonzero(members) if members.sum() >= FEWEST else np.arange(len(styles))
    parts: Any = (
        np.mean([getattr(styles[int(index)], part) for index in chosen], axis=0)
        for part in ("mean", "covariance", "detail")
    )
    return Style(*parts)


def _read(cache: CropCache, index: int) -> Style:
    return read_style(centre_crop(cache.crops[index], cache.size))


def read_style(crop: Pixels) -> Style:
    """Return the style of a square crop (size, size, 3)."""
    values = crop.reshape(-1, 3).astype(np.float64)
    grey = crop.mean(axis=2)
    window = np.hanning(len(grey))
    spectrum = np.abs(np.fft.rfft2((grey - grey.mean()) * window * window[:, None]))
    place = _places(len(grey))
    nearest = place.round().astype(int).clip(0, BANDS - 1)
    sums = np.bincount(nearest.ravel(), spectrum.ravel(), BANDS)
    counts = np.bincount(nearest.ravel(), minlength=BANDS)
    amplitude = sums / np.maximum(counts, 1)
    coarse = max(amplitude[:COARSE].mean(), 1e-9)
    return Style(values.mean(axis=0), np.cov(values.T), amplitude / coarse)


def transfer_style(canvas: Pixels, usual: Style, style: Style) -> Pixels:
    """Return a canvas (c, c, 3) changed as one style differs from another. Nothing is sharpened."""
    gain = np.minimum(1.0, style.detail / np.maximum(usual.detail, 1e-9))
    gain[:COARSE] = 1.0
    by_frequency = np.interp(_places(len(canvas)), np.arange(BANDS), gain)
    spectrum = np.fft.rfft2(canvas.astype(np.float32), axes=(0, 1))
    blurred = np.fft.irfft2(spectrum * by_frequency[..., None], canvas.shape[:2], axes=(0, 1))
    moved = (blurred - usual.mean) @ _colour_map(usual.covariance, style.covariance) + style.mean
    return moved.round().clip(0, 255).astype(np.uint8)


def _colour_map(before: Values, after: Values) -> Values:
    """Return the symmetric matrix (3, 3) that turns one covariance into another."""
    before = before + LEAST_VARIANCE * np.eye(3)
    root = _power(before, 0.5)
    inverse = _power(before, -0.5)
    return inverse @ _power(root @ after @ root, 0.5) @ inverse


def _power(matrix: Values, exponent: float) -> Values:
    values, vectors = np.linalg.eigh(matrix)
    powers = np.where(values > 1e-9, np.maximum(values, 1e-9) ** exponent, 0.0)
    powered: Values = (vectors * powers) @ vectors.T
    return powered


@cache
def _places(side: int) -> Values:
    """Return the band in which each frequency lies, as a number with a fraction (side, half)."""
    rows, columns = np.fft.fftfreq(side), np.fft.rfftfreq(side)
    frequency = np.hypot(rows[:, None], columns).clip(LOWEST, 0.5)
    places: Values = np.log(frequency / LOWEST) / np.log(0.5 / LOWEST) * (BANDS - 1)
    return places
