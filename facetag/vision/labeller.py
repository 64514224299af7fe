"""Label the faces of photos: detector, crop and network behind one call."""

import math
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from facetag.heads import AGE, FACE, HEADS_BY_NAME, Head
from facetag.results.image_lines import Face, age_fields, binary_field, categorical_field
from facetag.settings import Settings
from facetag.vision.bundle import Bundle, open_bundle
from facetag.vision.crop import cut_square
from facetag.vision.detection import Box, Detection
from facetag.vision.face_pose import measure_pose
from facetag.vision.inference.compiled_network import MOST_AT_ONCE, CompiledNetwork
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.inference.glibc_heap import collect_garbage, resident_bytes, return_free_memory
from facetag.vision.inference.graph_cache import GraphCache
from facetag.vision.mtcnn.detector import Detector
from facetag.vision.mtcnn.views import Band
from facetag.vision.network.calibration import top_probability
from facetag.vision.network.mirror_averaging import Outputs
from facetag.vision.network_loader import load_compiled
from facetag.vision.photo import Picture, Pixels, copy_scale, reduce_to
from facetag.vision.turned_views import find_faces

SURE_FACE = 0.9
"""Probability below which a face is reported as uncertain to be one, and is not counted."""
STAGES = ("detect", "crop", "predict")
KEPT_BYTES, KEPT_BYTES_A_LANE = 512 * 2**20, 128 * 2**20
"""Memory that labelling may hold in addition to what it held before the first photo; free memory
above that goes back to the system. Photos of up to 12 megapixels need less
(`benchmarks.memory`)."""

IDLE_PAUSE_S = 0.3
"""The pause before each step of the warm-up that is left to idle times."""


@dataclass(frozen=True, slots=True)
class LabelledBatch:
    """Hold the faces of each photo, largest first, and the milliseconds of each stage in all."""

    faces: list[list[Face]]
    stage_ms: dict[str, float]


class Labeller:
    """Label the faces of photos with one bundle, in several lanes at the same time."""

    def __init__(
        self,
        bundle: Bundle,
        network: CompiledNetwork,
        detector: Detector,
        heads: Sequence[str],
        slots: CpuSlots,
    ) -> None:
        self.version = bundle.version
        self.manifest: Mapping[str, Any] = bundle.manifest
        self.crop_rule = bundle.crop_rule
        self._heads = [HEADS_BY_NAME[name] for name in bundle.spec.heads if name in heads]
        self._age_range = bundle.age_range if AGE.name in bundle.spec.heads else None
        self._calibration = bundle.calibration
        self.detector = detector
        self._slots = slots
        self._lanes = slots.lanes
        self._threads = ThreadPoolExecutor(slots.lanes, thread_name_prefix="lane")
        self.network = network
        self._most_resident = math.inf
        self._turn = threading.Lock()
        self._rest: threading.Thread | None = None

    def warm_up(self) -> None:
        """Run what the first photo needs in every lane; a thread does the rest in idle moments.

        Networks allocate memory for each number of crops: they do so then instead of at some photo.
        """
        self._in_every_lane(self.detector.warm_up)
        self._in_every_lane(partial(self.network.predict, self._blank(1)))
        self._rest = threading.Thread(target=self._warm_up_rest, name="warm-up", daemon=True)
        self._rest.start()

    def finish_warm_up(self) -> None:
        """Wait for the rest of the warm-up."""
        if self._rest is not None:
            self._rest.join()

    def _warm_up_rest(self) -> None:
        pause = threading.Event()
        # The interpreter refuses new work while it ends.
        with suppress(RuntimeError):
            for count in range(2, MOST_AT_ONCE + 1):
                # Meanwhile a call that waits for its turn has it.
                pause.wait(IDLE_PAUSE_S)
                with self._turn:
                    self._in_every_lane(partial(self.network.predict, self._blank(count)))
        with self._turn:
            collect_garbage()
            self._most_resident = resident_bytes() + KEPT_BYTES + self._lanes * KEPT_BYTES_A_LANE

    def _blank(self, count: int) -> npt.NDArray[np.uint8]:
        return np.zeros((count, *[self.network.input_size] * 2, 3), np.uint8)

    def label(
        self, photos: Sequence[Picture], *, heads: Collection[str] | None = None
    ) -> LabelledBatch:
        """Label photos in lanes: each lane detects in batches of one shape, then reads its crops.

        With `heads`, only these of the labeller's own are read; without any, faces are only found.
        `stage_ms` is wall-clock time, added up over the lanes. One call is served at a time.
        """
        with self._turn:
            chosen = [head for head in self._heads if heads is None or head.name in heads]
            return self._label(photos, chosen)

    def _label(self, photos: Sequence[Picture], heads: Sequence[Head]) -> LabelledBatch:
        clock = _Clock()
        names = [head.name for head in heads]
        batches = self.detector.batches([photo.copy for photo in photos])
        found: list[list[Detection]] = [[] for _ in photos]
        crops: list[list[Pixels]] = [[] for _ in photos]

        def find(batch: Sequence[int]) -> None:
            with self._slots.take(), clock.timed("detect"):
                detected = self._detect([photos[index] for index in batch])
            with self._slots.take(), clock.timed("crop"):
                for index, faces in zip(batch, detected, strict=True):
                    found[index] = faces
                    crops[index] = self._cut(photos[index], faces) if names else []

        def predict(part: Sequence[Pixels]) -> Outputs:
            with self._slots.take(), clock.timed("predict"):
                return self.read(part, names)

        list(self._threads.map(find, batches))
        parts = _share_out([crop for cut in crops for crop in cut], self._lanes)
        read = list(self._threads.map(predict, parts))
        outputs = {name: np.concatenate([one[name] for one in read]) for name in read[0]}
        rows = iter(range(sum(map(len, found))))
        faces = [
            [
                self._to_face(photo, detection, heads, outputs, next(rows))
                for detection in detections
            ]
            for photo, detections in zip(photos, found, strict=True)
        ]
        if resident_bytes() > self._most_resident:
            return_free_memory()
        return LabelledBatch(faces, clock.stage_ms)

    def _in_every_lane(self, work: Callable[[], object]) -> None:
        # All lanes run at the same time, so that each one takes a compiled network of its own.
        together = threading.Barrier(self._lanes)

        def run(_: int) -> None:
            together.wait()
            work()

        list(self._threads.map(run, range(self._lanes)))

    def _detect(self, photos: Sequence[Picture]) -> list[list[Detection]]:
        """Return each photo's faces in its own pixels, largest first."""
        copies = [photo.copy for photo in photos]
        views = [_view(photo, self.detector.bands[-1]) for photo in photos]
        detected = find_faces(self.detector, views, copies)
        return [
            sorted((_enlarge(face, view, photo) for face in faces), key=_size, reverse=True)
            for photo, view, faces in zip(photos, views, detected, strict=True)
        ]

    def read(self, crops: Sequence[Pixels], heads: Collection[str] | None = None) -> Outputs:
        """Return the calibrated outputs (n, units) per head for n crops (size, size, 3)."""
        size = self.network.input_size
        batch = np.stack(crops) if crops else np.zeros((0, size, size, 3), np.uint8)
        return self._calibration.apply(self.network.predict(batch, heads))

    def _cut(self, photo: Picture, faces: Sequence[Detection]) -> list[Pixels]:
        """Cut a photo's faces, from the reduced photo if that has enough pixels for all of them."""
        if not faces:
            return []
        size = self.network.input_size
        squares = [self.crop_rule.square(face) for face in faces]
        pixels = photo.at_least(size / max(1.0, min(square.side for square in squares)))
        scale = pixels.shape[1] / photo.width
        return [cut_square(pixels, square.scaled(scale), size) for square in squares]

    def _to_face(
        self,
        photo: Picture,
        detection: Detection,
        heads: Sequence[Head],
        outputs: Outputs,
        row: int,
    ) -> Face:
        attributes: dict[str, Any] = {}
        top: dict[str, float] = {}
        for head in heads:
            values = outputs[head.name][row]
            if head.kind != "regression":
                top[head.name] = float(top_probability(head.name, values[None])[0])
            if head.kind == "regression" and self._age_range is not None:
                age = float(values[0])
                attributes.update(age_fields(age, self._age_range.around(age)))
            elif head.kind == "binary":
                attributes[head.name] = binary_field(head.labels, float(values[0]))
            else:
                attributes[head.name] = categorical_field(head.labels, values.tolist())
        pose = measure_pose(detection)
        if pose.beyond_taught:
            attributes["uncertain"] = [head.name for head in heads]
        else:
            ages = outputs.get(AGE.name)
            apparent = None if ages is None else float(ages[row, 0])
            uncertain = self._calibration.uncertain_heads(top, apparent)
            if uncertain is not None:
                attributes["uncertain"] = uncertain
        if detection.confidence < SURE_FACE:
            attributes["uncertain"] = [FACE, *attributes.get("uncertain", ())]
        if detection.turned:
            attributes["turned"] = detection.turned
        box = clip_box(detection.box, (photo.height, photo.width))
        return Face(box, detection.confidence, attributes)


def load_labeller(settings: Settings, slots: CpuSlots) -> Labeller:
    """Load the bundle and the detector that the settings name; call it after a fork, never before.

    Raises BundleInvalid, and what `choose_precision` raises.
    """
    bundle = open_bundle(settings.bundle)
    cache = GraphCache.of(settings)
    network, cascade = load_compiled(bundle, settings.precision, slots, cache)
    detector = Detector(cascade, min_face=settings.min_face, confidence=settings.face_confidence)
    return Labeller(bundle, network, detector, settings.heads, slots)


def clip_box(box: Box, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return x, y, width, height in whole pixels of a box x1, y1, x2, y2, clipped to the photo."""
    height, width = shape[:2]
    x1, y1, x2, y2 = (round(value) for value in box)
    x1, y1 = min(max(x1, 0), width - 1), min(max(y1, 0), height - 1)
    x2, y2 = min(max(x2, x1 + 1), width), min(max(y2, y1 + 1), height)
    return x1, y1, x2 - x1, y2 - y1


def _view(photo: Picture, band: Band) -> Pixels:
    """Return a photo with as many pixels as a band of faces is searched for in."""
    if band.is_first:
        return photo.copy
    return reduce_to(photo.at_least(copy_scale((photo.width, photo.height), band.side)), band.side)


def _enlarge(face: Detection, view: Pixels, photo: Picture) -> Detection:
    """Return a face that was found on a copy of a photo in the photo's own pixels."""
    return face.scaled(photo.width / view.shape[1], photo.height / view.shape[0])


def _size(detection: Detection) -> float:
    x1, y1, x2, y2 = detection.box
    return (x2 - x1) * (y2 - y1)


def _share_out(crops: Sequence[Pixels], lanes: int) -> list[Sequence[Pixels]]:
    """Split crops evenly, a part per lane; return at least one part, which may be empty."""
    size = max(1, math.ceil(len(crops) / lanes))
    return [crops[start : start + size] for start in range(0, max(1, len(crops)), size)]


class _Clock:
    """Add up the milliseconds of each stage over threads."""

    def __init__(self) -> None:
        self.stage_ms = dict.fromkeys(STAGES, 0.0)
        self._lock = threading.Lock()

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time that the block takes to a stage."""
        started = time.perf_counter()
        yield
        with self._lock:
            self.stage_ms[stage] += (time.perf_counter() - started) * 1000
