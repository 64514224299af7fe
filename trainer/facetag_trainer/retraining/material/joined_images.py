"""Join the images of a retraining: new ones, replayed ones, and what is held out of both."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.data.photo_style import NO_DONOR, StyleTransfer, make_transfer
from facetag_trainer.retraining.material.replay import choose_replay, join_caches, keep_some
from facetag_trainer.retraining.material.style_donors import Indices, choose_donors
from facetag_trainer.retraining.weight_interpolation import find_validation

USUAL = 1000
"""Known photos that tell the usual style, at most."""


@dataclass(frozen=True, slots=True)
class Material:
    """The images of a retraining, joined: of each earlier round those replayed and those held out.

    `fitting` holds out the validation part alone: the other parts have no say in the weights, so
    reading them after every epoch would be a waste.
    """

    joined: CropCache
    fitting: CropCache
    is_new: npt.NDArray[np.bool_]
    """Which images (n,) of `fitting` are new."""
    as_they_are: int
    """So many of the first training images of `fitting` are replayed as they are."""
    restyled: Sequence[Indices]
    """Those after them, which are shown in the style of new ones: indices by earlier cache. Some
    are shown both ways."""
    transfer: StyleTransfer | None
    """Shows some images of `fitting` in the style of new ones; None if nothing is replayed."""


def gather_material(
    new: CropCache, earlier: Sequence[CropCache], replay: float, *, seed: int
) -> Material:
    """Choose the replayed images, and join them with the new ones.

    A share `replay` of each earlier cache's training images is shown as it is. Those that are like
    the new ones are also shown in their style, unless the share is 0.
    """
    as_they_are = [choose_replay(cache, replay, seed) for cache in earlier]
    donors = choose_donors(new, earlier, seed) if replay and earlier else []
    restyled = [np.flatnonzero(some != NO_DONOR) for some in donors]
    parts = [*zip(earlier, as_they_are, strict=True), *zip(earlier, restyled, strict=False)]
    joined = join_caches([*parts, (new, np.arange(len(new.validation)))])
    count = len(joined.validation)
    first_new = count - len(new.validation)
    kept = ~joined.validation
    validation = find_validation(joined)
    # In a set so small that no image validates, all held-out images do, as `fit` uses them.
    kept[validation if len(validation) else np.flatnonzero(joined.validation)] = True
    fitting, is_new = keep_some(joined, kept), (np.arange(count) >= first_new)[kept]
    known, transfer = np.flatnonzero(~fitting.validation & ~is_new), None
    if len(known):
        given = np.concatenate(
            [some[indices] for some, indices in zip(donors, restyled, strict=True)]
        )
        donor_of = np.full(count, NO_DONOR)
        # A donor's place among the images to fit on.
        donor_of[first_new - len(given) : first_new] = (np.cumsum(kept) - 1)[first_new + given]
        usual = known[donor_of[kept][known] == NO_DONOR]
        usual = np.random.default_rng(seed).permutation(usual)[:USUAL]
        transfer = make_transfer(fitting, donor_of[kept], usual)
    replayed = sum(int((~cache.validation[some]).sum()) for cache, some in parts[: len(earlier)])
    return Material(joined, fitting, is_new, replayed, restyled, transfer)
