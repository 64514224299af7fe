"""Reduce photos by area: each pixel is the mean of the pixels it covers.

This follows TensorFlow's `ResizeArea`, which the `mtcnn` package uses: single pixels decide which
faces are found. A sparse matrix weights the rows, and another one the columns.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from facetag.vision.photo import Pixels

Reduced = npt.NDArray[np.float32]
"""Pixels in 0..255: float32, (height, width, 3)."""

KEPT = 512
"""Number of matrices that are cached, of some 20 kB each."""


def reduce_by_area(photo: Pixels, sizes: Sequence[tuple[int, int]]) -> list[Reduced]:
    """Return a photo reduced to each of these heights and widths, none larger than its own."""
    height, width = photo.shape[:2]
    rows = photo.reshape(height, width * 3).astype(np.float32)
    levels = []
    for reduced_height, reduced_width in sizes:
        # Transposing a matrix takes a quarter of the time that pixels of three values take.
        columns = np.ascontiguousarray((_shares(height, reduced_height, 1) @ rows).T)
        reduced = _shares(width, reduced_width, 3) @ columns
        levels.append(reduced.T.reshape(reduced_height, reduced_width, 3))
    return levels


@lru_cache(KEPT)
def _shares(side: int, reduced: int, values: int) -> csr_array:
    """Return the weights (reduced, side) of pixels of so many values in the reduced pixels."""
    # TensorFlow too computes in float32 where a pixel begins and ends.
    step = np.float32(side) / np.float32(reduced)
    begin = np.arange(reduced, dtype=np.float32)[:, None] * step
    end = np.arange(1, reduced + 1, dtype=np.float32)[:, None] * step
    places = np.floor(begin) + np.arange(int(np.ceil(step)) + 1, dtype=np.float32)
    weights = (np.minimum(places + 1, end) - np.maximum(places, begin)) / step
    row, tap = np.nonzero(weights > 0)
    # By rounding, the last pixel may end just beyond the photo.
    column = np.minimum(places[row, tap].astype(np.int32), side - 1)
    # The values of a pixel are neighbours.
    value = np.arange(values)
    shape = reduced * values, side * values
    index = (row[:, None] * values + value).ravel(), (column[:, None] * values + value).ravel()
    return csr_array((np.repeat(weights[row, tap], values), index), shape)
