"""The crop cache: every face is cut out once by the detector's box, so fitting needs no detector.

A cache is a folder with three files. `crops.npy` holds canvases (n, canvas, canvas, 3) uint8: their
central (size, size) is the square of the crop rule, the rest is margin for jitter. `table.npz`
holds the labels (NaN where missing), the part of each canvas that lies inside the image, the split
and the hashes. `cache.json` holds the facts.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from facetag.atomic_write import atomic_write
from facetag.heads import HEADS
from facetag.vision.crop import BoxCrop, CropRule, Square, cut_square, whole_image
from facetag_trainer.data.labels import label_arrays
from facetag_trainer.data.shards import FaceBox, Sample
from facetag_trainer.data.splits import VALIDATION, Fold, split_folds, split_held_out
from facetag_trainer.disk_array import make_array, sole_writer

if TYPE_CHECKING:
    from facetag.settings import Settings
    from facetag.vision.detection import Detection

MARGIN = 1.25
"""Side of the canvas as a multiple of the crop's side."""
LEAST_OVERLAP = 0.3
"""Of a labelled face's box with the detector's of the same face, over their union."""
FORMAT = 3
"""Rises whenever what lies in a cache changes its form: caches of another are made anew."""
BATCH = 64


@dataclass(frozen=True, slots=True)
class CropCache:
    """A cache opened for reading; `crops` stays on disk and is read as needed."""

    crops: npt.NDArray[np.uint8]
    labels: dict[str, npt.NDArray[np.float32]]
    inside: npt.NDArray[np.float32]
    """Corners of the image on the canvas, x and y in canvas pixels, (n, 4, 2)."""
    validation: npt.NDArray[np.bool_]
    hashes: npt.NDArray[np.uint8]
    facts: dict[str, Any]

    @property
    def size(self) -> int:
        """Side of the crop in pixels: the network's input size."""
        return int(self.facts["size"])


def open_cache(folder: Path) -> CropCache:
    """Open a complete cache; raises FileNotFoundError if there is none."""
    facts = json.loads((folder / "cache.json").read_text())
    with np.load(folder / "table.npz") as table:
        return CropCache(
            crops=np.load(folder / "crops.npy", mmap_mode="r"),
            labels={head.name: table[head.name] for head in HEADS},
            inside=table["inside"],
            validation=table["validation"],
            hashes=table["hashes"],
            facts=facts,
        )


def cache_key(
    shards: Sequence[str], rule: CropRule, size: int, validation_share: float, settings: "Settings"
) -> str:
    """Return the name of the cache of these shards, so that equal caches are made once."""
    return name_of([list(shards), validation_share], rule, size, settings)


def name_of(content: Sequence[Any], rule: CropRule, size: int, settings: "Settings") -> str:
    """Return a name that follows from everything that decides what the crops show."""
    detector = detector_facts(settings).values()
    facts = json.dumps([*content, rule.to_json(), size, MARGIN, FORMAT, *detector])
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def detector_facts(settings: "Settings") -> dict[str, float]:
    """Return the facts that decide the boxes of faces."""
    from facetag.vision.mtcnn.boxes import BOXES

    return {
        "boxes": BOXES,
        "min_face": settings.min_face,
        "confidence": settings.face_confidence,
    }


def write_cache(
    folder: Path,
    samples: Sequence[Sample],
    *,
    hashes: npt.NDArray[np.uint8],
    validation: npt.NDArray[np.bool_],
    rule: CropRule,
    size: int,
    settings: "Settings",
    facts: dict[str, Any],
    on_progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Detect, cut and write every sample; `cache.json` comes last and marks a complete cache.

    Writes nothing if another process has completed the cache meanwhile. Raises DiskFull.
    """
    from facetag.vision.image_decoder import decode_image
    from facetag.vision.mtcnn.detector import Detector
    from facetag.vision.network_loader import compile_cascade

    with sole_writer(folder):
        if (folder / "cache.json").exists():
            return
        canvas = round(size * MARGIN)
        shape = (len(samples), canvas, canvas, 3)
        crops = make_array(folder / "crops.npy", np.uint8, shape)
        inside = np.zeros((len(samples), 4, 2), np.float32)
        detector = Detector(
            compile_cascade(), min_face=settings.min_face, confidence=settings.face_confidence
        )
        faceless = 0
        for start in range(0, len(samples), BATCH):
            photos = [
                decode_image(
                    sample.data,
                    formats=settings.image_formats,
                    max_pixels=settings.max_image_pixels,
                )
                for sample in samples[start : start + BATCH]
            ]
            for index, (photo, faces) in enumerate(
                zip(photos, detector.detect(photos), strict=True), start
            ):
                found = find_square(samples[index], photo, faces, rule)
                faceless += found is None
                square = whole_image(photo) if found is None else found
                wide = square.grown(canvas / size)
                crops[index] = cut_square(photo, wide, canvas)
                inside[index] = wide.locate(_corners_of(photo)) * canvas
            on_progress(min(start + BATCH, len(samples)))
        crops.flush()
        labels = label_arrays(samples, [head.name for head in HEADS])
        table = folder / "table.npz"
        np.savez(table, inside=inside, validation=validation, hashes=hashes, **labels)  # type: ignore[arg-type]
        whole = {
            **facts,
            "size": size,
            "crop": rule.to_json(),
            "detector": detector_facts(settings),
            "n": len(samples),
            "faceless": faceless,
        }
        atomic_write(folder / "cache.json", json.dumps(whole, indent=2), sole_writer=True)


def find_square(
    sample: Sample, photo: npt.NDArray[np.uint8], faces: Sequence["Detection"], rule: CropRule
) -> Square | None:
    """Return the square of the labelled face among those that the detector found in a photo.

    It is the largest one, or the one in the sample's box. If that was not found, the box itself
    gives the square; without a box, there is none. A box that lies outside the photo, or has less
    than a pixel, is another program's, and counts as none.
    """
    from facetag.vision.mtcnn.boxes import overlaps
    from facetag.vision.mtcnn.detector import largest_face

    box = None if sample.box is None else _place_box(sample.box, photo)
    if box is None:
        largest = largest_face(faces)
        return None if largest is None else rule.square(largest)
    if faces:
        mine, others = (np.array(one, np.float32) for one in ([box], [face.box for face in faces]))
        shared = overlaps(mine, others)[0]
        if shared.max() >= LEAST_OVERLAP:
            return rule.square(faces[int(shared.argmax())])
    # Both rules show faces alike.
    return BoxCrop().around(box)


def _place_box(
    stated: FaceBox, photo: npt.NDArray[np.uint8]
) -> tuple[float, float, float, float] | None:
    """Return a box as x1, y1, x2, y2; None unless half of it lies in the photo."""
    left, top, width, height = stated
    right, bottom = left + width, top + height
    across = min(right, photo.shape[1]) - max(left, 0)
    down = min(bottom, photo.shape[0]) - max(top, 0)
    inside = across >= 1 and down >= 1 and 2 * across * down >= width * height
    return (left, top, right, bottom) if inside else None


def _corners_of(photo: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return x and y of a photo's corners (4, 2), clockwise from the upper left."""
    height, width = photo.shape[:2]
    return np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)


@dataclass(frozen=True, slots=True)
class ChosenCrops:
    """Some crops of a cache; they stay on disk, and each is read as needed."""

    crops: npt.NDArray[np.uint8]
    places: npt.NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> npt.NDArray[np.uint8]:
        chosen: npt.NDArray[np.uint8] = self.crops[self.places[index]]
        return chosen


def cut_down(cache: CropCache, part: float) -> CropCache:
    """Return a cache with a share of the training samples and with the validation samples.

    A sample's content decides whether it is chosen, so a smaller share is a subset of a larger one.
    The calibration and holdout parts are left out. In a set so small that no sample validates, all
    held-out samples stay, as `fit` uses them.
    """
    held_out = np.flatnonzero(cache.validation)
    chosen = split_held_out(cache.hashes[held_out]) == VALIDATION
    kept = ~cache.validation & (_positions(cache.hashes) < part)
    kept[held_out[chosen] if chosen.any() else held_out] = True
    return _take(cache, kept, part=part)


def leave_out(cache: CropCache, fold: Fold) -> CropCache:
    """Return a cache without one fold of its training samples; held-out samples stay."""
    return _take(cache, ~in_fold(cache, fold), fold=str(fold))


def in_fold(cache: CropCache, fold: Fold) -> npt.NDArray[np.bool_]:
    """Return as (n,) which samples of a cache are training samples of this fold."""
    members: npt.NDArray[np.bool_] = ~cache.validation
    members[members] = split_folds(cache.hashes[members], fold.of) == fold.number
    return members


def _take(cache: CropCache, kept: npt.NDArray[np.bool_], **facts: Any) -> CropCache:
    places = np.flatnonzero(kept)
    return replace(
        cache,
        crops=cast(Any, ChosenCrops(cache.crops, places)),
        labels={name: values[places] for name, values in cache.labels.items()},
        inside=cache.inside[places],
        validation=cache.validation[places],
        hashes=cache.hashes[places],
        facts={**cache.facts, "n": len(places), **facts},
    )


def _positions(hashes: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return a number in 0..1 for each hash (n, 32), independent of the parts held out."""
    digests = (hashlib.sha256(b"part" + one.tobytes()).hexdigest() for one in hashes)
    return np.array([int(digest[:8], 16) / 2**32 for digest in digests])
