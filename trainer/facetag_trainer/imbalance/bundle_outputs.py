"""Measure whole networks, bundles of `facetag train`, on the same held-out images as the heads."""

from collections.abc import Sequence

import numpy as np

from facetag.errors import FacetagError
from facetag.vision.bundle import Bundle
from facetag_trainer.data.augmentation import Jitter
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.fit.batches import Feeder
from facetag_trainer.imbalance.imbalance_plan import PLAIN, Method
from facetag_trainer.imbalance.minority_measures import HeadOutputs
from facetag_trainer.imbalance.training_examples import ImagePlaces

BATCH = 64


def describe_whole(bundle: Bundle, head: str) -> tuple[str, Method]:
    """Return the name of what was fitted, and the method: plain, or weighted by class.

    Raises FacetagError if the bundle does not predict the head.
    """
    spec = bundle.spec
    if head not in spec.heads:
        raise FacetagError(f"{bundle.folder} does not predict {head}: leave it out.")
    balanced = bundle.manifest["training"]["fit"]["balanced"]
    others = "" if spec.heads == (head,) else " of all heads"
    fitted = f"{spec.backbone}{others}, {spec.input_size} pixels"
    return fitted, "weighted" if head in balanced else PLAIN


def read_whole(bundle: Bundle, head: str, cache: CropCache, places: ImagePlaces) -> HeadOutputs:
    """Return the network's outputs (n, units) for some crops, without mirror images."""
    network = bundle.load_network()
    batches = Feeder(cache, (), BATCH, seed=0, jitter=Jitter()).plain(places)
    return np.concatenate(
        [np.asarray(network.predict_on_batch(batch.images)[head]) for batch in batches]
    )


def require_same_images(cache: CropCache, others: Sequence[CropCache]) -> None:
    """Raise FacetagError unless all caches hold the same images in the same order."""
    for other in others:
        if not np.array_equal(cache.hashes, other.hashes):
            raise FacetagError(
                "The crop caches hold different images: give the same shards, and delete caches "
                "that another version of facetag made."
            )
