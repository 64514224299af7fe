"""`facetag evaluate`: a bundle's Table 1 on labelled shards, seen as in the service."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facetag.errors import ImageUnreadable, ShardUnreadable
from facetag.settings import Settings
from trainer.metrics import table_1
from trainer.shards import BadSample, Sample, read_shards
from vision.bundle import Bundle
from vision.crop import cut_square, whole_image
from vision.decode import decode_image
from vision.detector import Detection, Detector, largest_face
from vision.frozen import FrozenNetwork

BATCH = 64
Values = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Labels (NaN where missing) and outputs of all validly labelled images, in order."""

    samples: list[Sample] = field(repr=False)
    labels: dict[str, Values]
    outputs: dict[str, Values]
    faceless: int
    """Images in which the detector found no face, so that the whole image was used."""
    invalid: int
    """Images without a valid label, which do not count."""

    def table(self) -> dict[str, Any]:
        """Return `n` and Table 1, as `facetag evaluate --format json` prints them."""
        return {"n": len(self.samples), **table_1(self.labels, self.outputs)}


def evaluate_bundle(
    bundle: Bundle,
    shards: Sequence[Path],
    settings: Settings,
    *,
    bare: bool = False,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Evaluation:
    """Predict every validly labelled image of the shards through detector and crop, or `bare`.

    Where no face is found, and for every image if `bare`, the whole image is used. An image that
    cannot be decoded counts as a grey one: nothing that is validly labelled is dropped. Raises
    ShardUnreadable where no image carries a valid label.
    """
    items = list(read_shards(shards))
    samples = [item for item in items if isinstance(item, Sample)]
    if not samples:
        raise ShardUnreadable("No image of these shards carries a valid label.")
    network = FrozenNetwork(bundle.load_network(), bundle.spec.input_size)
    detector = Detector(min_face=settings.min_face, confidence=settings.face_confidence)
    outputs: dict[str, list[Values]] = {name: [] for name in bundle.spec.heads}
    faceless = 0
    for part in _parts(samples, BATCH):
        photos = [_decode(sample, settings) for sample in part]
        found = [[] for _ in photos] if bare else detector.detect(photos)
        faceless += sum(not faces for faces in found)
        crops = [_cut(bundle, photo, faces) for photo, faces in zip(photos, found, strict=True)]
        for name, values in network.predict(np.stack(crops)).items():
            outputs[name].append(values)
        on_progress(len(part))
    return Evaluation(
        samples=samples,
        labels=label_arrays(samples, bundle.spec.heads),
        outputs={name: np.concatenate(values) for name, values in outputs.items()},
        faceless=faceless,
        invalid=sum(isinstance(item, BadSample) for item in items),
    )


def label_arrays(samples: Sequence[Sample], heads: Sequence[str]) -> dict[str, Values]:
    """Return the samples' labels a head as (n,), NaN where missing."""
    return {
        name: np.array([sample.labels.get(name, np.nan) for sample in samples], np.float32)
        for name in heads
    }


def _parts(samples: Sequence[Sample], size: int) -> Iterator[Sequence[Sample]]:
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


def _decode(sample: Sample, settings: Settings) -> npt.NDArray[np.uint8]:
    try:
        return decode_image(
            sample.data, formats=settings.image_formats, max_pixels=settings.max_image_pixels
        )
    except ImageUnreadable:
        return np.full((200, 200, 3), 128, np.uint8)


def _cut(
    bundle: Bundle, photo: npt.NDArray[np.uint8], faces: Sequence[Detection]
) -> npt.NDArray[np.uint8]:
    face = largest_face(faces)
    square = whole_image(photo) if face is None else bundle.crop_rule.square(face.box)
    return cut_square(photo, square, bundle.spec.input_size)
