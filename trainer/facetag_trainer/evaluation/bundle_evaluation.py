"""Predict labelled shards with a bundle, the same way as the service does."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facetag.errors import ImageUnreadable, ShardUnreadable
from facetag.heads import AGE
from facetag.settings import AskedPrecision, Settings
from facetag.vision.bundle import Bundle
from facetag.vision.crop import cut_square, whole_image
from facetag.vision.detection import Detection
from facetag.vision.difference_hash import Hashes, difference_hash
from facetag.vision.image_decoder import decode_image
from facetag.vision.mtcnn.detector import Detector
from facetag.vision.network.age_range import AgeRange
from facetag.vision.network_loader import load_here
from facetag.vision.turned_views import find_faces
from facetag_trainer.data.crop_cache import find_square
from facetag_trainer.data.labels import LabelValues, label_arrays
from facetag_trainer.data.shards import BadSample, Sample, read_shards

BATCH = 64


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Labels (NaN where missing) and outputs of all images with valid labels, in order.

    Outputs are those of the service: calibrated, and averaged with mirror images if the bundle says
    so.
    """

    samples: list[Sample] = field(repr=False)
    labels: dict[str, LabelValues]
    outputs: dict[str, LabelValues]
    hashes: Hashes
    """Difference hashes of the images, (n, 32)."""
    age_range: AgeRange | None
    """The stated range around an apparent age; None if no age is predicted."""
    faceless: int
    """Images without a detected face, which were used whole."""
    invalid: int
    """Images without a valid label, which are not counted."""


class FaceReader:
    """Read the labelled face of photos as the service does, or whole photos if `bare`.

    It is the one in the sample's box, or the largest face without a box, as in crop caches.
    """

    def __init__(
        self, bundle: Bundle, settings: Settings, *, bare: bool, precision: AskedPrecision
    ) -> None:
        self._bundle, self._bare = bundle, bare
        self._network, cascade = load_here(bundle, precision)
        self._detector = Detector(
            cascade, min_face=settings.min_face, confidence=settings.face_confidence
        )

    def read(
        self, samples: Sequence[Sample], photos: Sequence[npt.NDArray[np.uint8]]
    ) -> tuple[dict[str, LabelValues], int]:
        """Return calibrated outputs (n, units) a head, and in how many photos no face was found.

        `photos` show the samples. Where no face was found, the sample's box is read, or the whole
        photo without a box.
        """
        found = [[] for _ in photos] if self._bare else find_faces(self._detector, photos)
        crops = [self._cut(*one) for one in zip(samples, photos, found, strict=True)]
        outputs = self._bundle.calibration.apply(self._network.predict(np.stack(crops)))
        return outputs, sum(not faces for faces in found)

    def _cut(
        self, sample: Sample, photo: npt.NDArray[np.uint8], faces: Sequence[Detection]
    ) -> npt.NDArray[np.uint8]:
        square = None if self._bare else find_square(sample, photo, faces, self._bundle.crop_rule)
        return cut_square(photo, square or whole_image(photo), self._bundle.spec.input_size)


def evaluate_bundle(
    bundle: Bundle,
    shards: Sequence[Path],
    settings: Settings,
    *,
    bare: bool = False,
    precision: AskedPrecision = "float32",
    on_progress: Callable[[int], None] = lambda done: None,
) -> Evaluation:
    """Predict every image with valid labels through detector and crop, or without if `bare`.

    If no face is found, and for every image if `bare`, the whole image is used. An image that
    cannot be decoded is replaced by a grey one, so no image with valid labels is dropped. Raises
    ShardUnreadable if no image has a valid label, and what `choose_precision` raises.
    """
    items = list(read_shards(shards))
    samples = [item for item in items if isinstance(item, Sample)]
    if not samples:
        raise ShardUnreadable("No image has a valid label: see `facetag explore`.")
    reader = FaceReader(bundle, settings, bare=bare, precision=precision)
    outputs: dict[str, list[LabelValues]] = {name: [] for name in bundle.spec.heads}
    hashes = []
    faceless = 0
    for part in batches(samples):
        photos = [decode_sample(sample, settings) for sample in part]
        hashes += [difference_hash(photo) for photo in photos]
        read, without = reader.read(part, photos)
        faceless += without
        for name, values in read.items():
            outputs[name].append(values)
        on_progress(len(part))
    return Evaluation(
        samples=samples,
        labels=label_arrays(samples, bundle.spec.heads),
        outputs={name: np.concatenate(values) for name, values in outputs.items()},
        hashes=np.stack(hashes),
        age_range=bundle.age_range if AGE.name in bundle.spec.heads else None,
        faceless=faceless,
        invalid=sum(isinstance(item, BadSample) for item in items),
    )


def batches(samples: Sequence[Any], size: int = BATCH) -> Iterator[Sequence[Any]]:
    """Yield what is given in parts of `size`."""
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


def decode_sample(sample: Sample, settings: Settings) -> npt.NDArray[np.uint8]:
    """Return a sample's image; a grey one where it cannot be decoded."""
    try:
        return decode_image(
            sample.data, formats=settings.image_formats, max_pixels=settings.max_image_pixels
        )
    except ImageUnreadable:
        return np.full((200, 200, 3), 128, np.uint8)
