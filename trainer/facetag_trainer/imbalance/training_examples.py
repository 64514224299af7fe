"""Choose the examples that each treatment of class imbalance fits a head on.

SMOTE (Chawla et al., 2002) adds synthetic features, each between the features of an image of a rare
class and those of one of its nearest neighbours in that class.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facetag.errors import FacetagError
from facetag.heads import HEADS_BY_NAME
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.data.splits import VALIDATION, split_held_out
from facetag_trainer.fit.batches import balance_classes
from facetag_trainer.imbalance.imbalance_plan import Method

ImagePlaces = npt.NDArray[np.intp]
NEIGHBOURS = 5


@dataclass(frozen=True, slots=True)
class Sides:
    """Indices in the cache of the labelled images, by their purpose."""

    training: ImagePlaces
    validation: ImagePlaces
    """Images that decide which epoch is kept."""
    judged: ImagePlaces
    """The calibration and holdout parts, on which figures are measured."""

    def by_name(self) -> dict[str, ImagePlaces]:
        """Return the sides by their names."""
        return {"training": self.training, "validation": self.validation, "judged": self.judged}


@dataclass(frozen=True, slots=True)
class Examples:
    """Features (n, width), codes of labels (n,) and weights (n,) to fit a head with."""

    features: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]


def find_sides(cache: CropCache, head: str) -> Sides:
    """Return the sides of the labelled images; raises FacetagError if one is empty."""
    known = ~np.isnan(cache.labels[head])
    held_out = np.flatnonzero(cache.validation)
    chosen = split_held_out(cache.hashes[held_out]) == VALIDATION
    sides = Sides(
        training=np.flatnonzero(~cache.validation & known),
        validation=held_out[chosen & known[held_out]],
        judged=held_out[~chosen & known[held_out]],
    )
    for name, places in sides.by_name().items():
        if not len(places):
            raise FacetagError(
                f"No image with a label of {head} is in the {name} part, which the images' content "
                "decides: give more images, or more varied ones."
            )
    return sides


def take_examples(
    features: npt.NDArray[np.float32], cache: CropCache, head: str, places: ImagePlaces
) -> Examples:
    """Return the examples with these indices in the cache, all of the same weight."""
    labels = cache.labels[head][places].astype(np.int64)
    return Examples(np.asarray(features[places]), labels, np.ones(len(places), np.float32))


def treat(method: Method, examples: Examples, cache: CropCache, head: str, seed: int) -> Examples:
    """Return the training examples of a method; raises FacetagError if SMOTE has too few."""
    if method == "weighted":
        weights = balance_classes(cache, head)[examples.labels]
        return Examples(examples.features, examples.labels, weights)
    if method == "smote":
        return _oversample(examples, head, seed)
    return examples


def _oversample(examples: Examples, head: str, seed: int) -> Examples:
    from imblearn.over_sampling import SMOTE

    counts = np.bincount(examples.labels)
    rarest = min(counts[counts > 0])
    if len(counts[counts > 0]) < 2 or rarest < 2:
        names = HEADS_BY_NAME[head].labels
        stated = ", ".join(f"{count} {names[code]}" for code, count in enumerate(counts) if count)
        raise FacetagError(
            f"SMOTE needs two labels of {head} with two images each to fit on; here are {stated}. "
            "Give more images."
        )
    sampler = SMOTE(random_state=seed, k_neighbors=min(NEIGHBOURS, int(rarest) - 1))
    features, labels = sampler.fit_resample(examples.features, examples.labels)
    return Examples(features, labels, np.ones(len(labels), np.float32))
