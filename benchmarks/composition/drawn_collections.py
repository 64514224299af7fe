"""Draw collections of known shares from labelled faces, none of which occurs twice."""

from enum import Enum

import numpy as np

from facetag.quantification.groupings import Grouping
from facetag.quantification.held_out_answers import Codes, HeldOut, Values

SMALLEST_SHARE, LARGEST_SHARE = 0.01, 0.6
CONCENTRATION = 0.6
"""Concentration of the Dirichlet distribution of the shares: below 1, a few groups hold most."""
FEWEST_FACES = 150
"""Collections are not made smaller than this to keep the shares that were drawn."""
LARGE_GROUP = 25
"""Groups with fewer faces to draw from do not make collections smaller."""


class Wanted(Enum):
    """Say which shares collections have."""

    FAR = "far from the data's"
    AS_DATA = "as in the data"


def draw_pair(
    grouping: Grouping,
    held_out: HeldOut,
    pool: HeldOut | None,
    faces: int,
    rng: np.random.Generator,
    wanted: Wanted = Wanted.FAR,
) -> tuple[HeldOut, HeldOut]:
    """Return a collection, and the faces that fit its calibration.

    Without a pool, the collection comes from the held-out faces: at most half of each group, and
    all that are not drawn fit the calibration.
    """
    groups = len(grouping.labels)
    drawn_from = held_out if pool is None else pool
    codes = grouping.codes(drawn_from.codes)
    most = np.bincount(codes, minlength=groups) // (2 if pool is None else 1)
    chosen = draw_faces(codes, most, _draw_shares(most, wanted, rng), faces, rng)
    if pool is not None:
        return pool.take(chosen), held_out
    left = np.setdiff1d(np.arange(len(held_out)), chosen)
    return held_out.take(chosen), held_out.take(left)


def draw_faces(
    codes: Codes, most: Codes, shares: Values, faces: int, rng: np.random.Generator
) -> Codes:
    """Return the places of distinct faces with about these shares, at most `most` of each group."""
    large = most >= LARGE_GROUP
    fitting = (most[large] / shares[large]).min(initial=faces)
    number = int(np.clip(fitting, min(FEWEST_FACES, faces), faces))
    numbers = np.minimum(rng.multinomial(number, shares), most)
    drawn = [
        rng.choice(np.flatnonzero(codes == group), count, replace=False)
        for group, count in enumerate(numbers)
        if count
    ]
    return np.concatenate(drawn)


def _draw_shares(most: Codes, wanted: Wanted, rng: np.random.Generator) -> Values:
    if wanted is Wanted.AS_DATA:
        as_data: Values = most / most.sum()
        return as_data
    drawn = rng.dirichlet(np.full(len(most), CONCENTRATION))
    drawn = np.clip(drawn, SMALLEST_SHARE, LARGEST_SHARE) * (most > 0)
    shares: Values = drawn / drawn.sum()
    return shares
