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
    replayed: Sequence[Indices]
    """Indices of each earlier cache's replayed images, those in a new style among them."""
    transfer: StyleTransfer | None
    """Shows some images of `fitting` in the style of new ones; None if nothing is replayed."""

    @property
    def restyled(self) -> int:
        """The number of images that are shown in the style of new ones."""
        return 0 if self.transfer is None else int((self.transfer.donors != NO_DONOR).sum())


def gather_material(
    new: CropCache, earlier: Sequence[CropCache], replay: float, *, seed: int
) -> Material:
    """Choose the replayed images, and join them with the new ones.

    A share `replay` of each earlier cache's training images is shown as it is. Others, that are
    like the new faces, are shown in their style, unless the share is 0.
    """
    as_they_are = [choose_replay(cache, replay, seed) for cache in earlier]
    donors = (
        choose_donors(new, earlier, as_they_are, seed)
        if replay and earlier
        else [np.full(len(cache.validation), NO_DONOR) for cache in earlier]
    )
    chosen = [
        np.union1d(indices, np.flatnonzero(some != NO_DONOR))
        for indices, some in zip(as_they_are, donors, strict=True)
    ]
    parts = [*zip(earlier, chosen, strict=True), (new, np.arange(len(new.validation)))]
    joined = join_caches(parts)
    count = len(joined.validation)
    known = count - len(new.validation)
    kept = ~joined.validation
    validation = find_validation(joined)
    # In a set so small that no image validates, all held-out images do, as `fit` uses them.
    kept[validation if len(validation) else np.flatnonzero(joined.validation)] = True
    replayed = [
        indices[~cache.validation[indices]] for cache, indices in zip(earlier, chosen, strict=True)
    ]
    fitting, is_new = keep_some(joined, kept), np.arange(count) >= known
    transfer = None
    if any(map(len, replayed)):
        donor_of = np.full(count, NO_DONOR)
        donor_of[:known] = np.concatenate(
            [some[indices] for some, indices in zip(donors, chosen, strict=True)]
        )
        place = np.cumsum(kept) - 1
        restyled = np.where(donor_of == NO_DONOR, NO_DONOR, place[known + donor_of])[kept]
        usual = np.flatnonzero(~fitting.validation & ~is_new[kept] & (restyled == NO_DONOR))
        transfer = make_transfer(
            fitting, restyled, np.random.default_rng(seed).permutation(usual)[:USUAL]
        )
    return Material(joined, fitting, is_new[kept], replayed, transfer)
