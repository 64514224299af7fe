"""Name the bands of apparent age in which shares are stated."""

from bisect import bisect
from itertools import pairwise

BAND_STARTS = (0, 13, 20, 40, 60)
"""First year of each band. Bands are as wide as the network's error of age, or it could not tell
them apart: with bands of ten years, estimates were no better than counts."""

AGE_LABELS: tuple[str, ...] = (
    *(f"{start}–{end - 1}" for start, end in pairwise(BAND_STARTS)),
    f"{BAND_STARTS[-1]}+",
)


def band_label(age: float) -> str:
    """Return the band of an age in years."""
    return AGE_LABELS[bisect(BAND_STARTS[1:], age)]
