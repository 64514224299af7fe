"""Label photos in the ways that are compared; each class labels a set of photos once per call."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.harness.reference_mtcnn import load_reference
from facetag.labelling.outcomes import ImageToLabel
from facetag.labelling.photo_labels import Labels, label_photos
from facetag.labelling.photo_reader import Photo, PhotoReader, make_decode
from facetag.settings import Settings
from facetag.vision.bundle import open_bundle
from facetag.vision.crop import CropRule, cut_square
from facetag.vision.detection import Detection, as_landmarks
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.labeller import Labeller, load_labeller
from facetag.vision.mtcnn.detector import Work
from facetag.vision.photo import Pixels

KEYPOINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
"""`mtcnn`'s names of the landmarks, in the order of ours."""


def cut_faces(photo: Pixels, faces: Sequence[Detection], rule: CropRule, size: int) -> Pixels:
    """Return crops (n, size, size, 3) of faces; n may be 0."""
    crops = np.zeros((len(faces), size, size, 3), np.uint8)
    for crop, face in zip(crops, faces, strict=True):
        crop[:] = cut_square(photo, rule.square(face), size)
    return crops


def read_reference(face: Mapping[str, Any]) -> Detection:
    """Return a face as `mtcnn` gives it, box x, y, width, height and named keypoints."""
    x, y, width, height = face["box"]
    points = np.array([face["keypoints"][name] for name in KEYPOINTS], np.float32)
    box = (x, y, x + width, y + height)
    return Detection(box, float(face["confidence"]), as_landmarks(points))


class Files:
    """Read photos from a folder, where a worker reads them from object storage."""

    def fetch(self, _bucket: str, key: str, _max_bytes: int) -> bytes:
        """Return a file's bytes."""
        return Path(key).read_bytes()


class PaperPath:
    """Label one photo at a time: `mtcnn` on the whole photo, then the network.

    With `copies`, `mtcnn` searches our working copy for faces as small as we search for.
    """

    def __init__(self, settings: Settings, *, copies: bool = False) -> None:
        self._mtcnn = load_reference()
        bundle = open_bundle(settings.bundle)
        self._network = bundle.load_network()
        self._rule, self._size = bundle.crop_rule, bundle.spec.input_size
        self._decode = make_decode(settings) if copies else None
        self._min_face = settings.min_face
        self._mirror = bundle.mirror
        self.stage_ms: dict[str, float] = {}

    def label(self, paths: Sequence[Path]) -> int:
        """Label photos; return the number of faces."""
        return sum(self._label_one(path) for path in paths)

    def _label_one(self, path: Path) -> int:
        options: dict[str, Any] = {}
        if self._decode is None:
            photo = np.asarray(Image.open(path).convert("RGB"))
        else:
            photo = self._decode(path.read_bytes()).copy
            options["min_face_size"] = max(20, self._min_face * max(photo.shape))
        faces = self._mtcnn.detect_faces(photo, **options)
        if not faces:
            return 0
        found = [read_reference(face) for face in faces]
        crops = cut_faces(photo, found, self._rule, self._size)
        self._mirror.read(lambda images: self._network.predict(images, verbose=0), crops)
        return len(faces)


class OurPath:
    """Label with the worker's reader and labeller, and read the next chunk at the same time."""

    def __init__(self, settings: Settings, slots: CpuSlots) -> None:
        self.settings = settings
        self.labeller: Labeller = load_labeller(settings, slots)
        self.labeller.warm_up()
        self.labeller.finish_warm_up()
        self.reader = PhotoReader(
            Files(),
            make_decode(settings),
            slots=slots,
            max_bytes=settings.max_image_bytes,
            threads=settings.fetch_threads,
        )
        self._ahead = ThreadPoolExecutor(1)
        self.stage_ms: dict[str, float] = {}

    def label(self, paths: Sequence[Path]) -> int:
        """Label photos; return the number of faces, and add up the time of stages in `stage_ms`."""
        return sum(len(labels.faces) for _, labels in self.labels(paths))

    def labels(self, paths: Sequence[Path]) -> Iterator[tuple[Photo, Labels]]:
        """Yield each photo with its labels; raises what the labeller raised for a photo."""
        images = [ImageToLabel(n, n, "", str(path), path.name) for n, path in enumerate(paths)]
        size = self.settings.chunk_images
        chunks = [images[start : start + size] for start in range(0, len(images), size)]
        ahead = self._ahead.submit(self._read, chunks[0])
        for following in [*chunks[1:], []]:
            photos = ahead.result()
            ahead = self._ahead.submit(self._read, following)
            found = label_photos(self.labeller, [photo.picture for photo in photos])
            for photo, labels in zip(photos, found, strict=True):
                if isinstance(labels, Exception):
                    raise labels
                for stage, ms in [*photo.stage_ms.items(), *labels.stage_ms.items()]:
                    self.stage_ms[stage] = self.stage_ms.get(stage, 0.0) + ms
                yield photo, labels

    def _read(self, images: Sequence[ImageToLabel]) -> list[Photo]:
        return [one for one in self.reader.read(images) if isinstance(one, Photo)]


class BoundPath:
    """Run only the networks for sets of photos, as a bound for any pipeline.

    The networks get the same pyramid levels, numbers of patches and faces as in our path, in full
    batches, without decoding, resizing, suppression or cropping. The first call for a set also
    finds out what these are.
    """

    def __init__(self, settings: Settings, slots: CpuSlots) -> None:
        self._path = OurPath(settings, slots)
        self._bounds: dict[tuple[Path, ...], Callable[[], int]] = {}
        self.stage_ms: dict[str, float] = {}

    def label(self, paths: Sequence[Path]) -> int:
        """Run the networks for photos; return the number of faces."""
        key = tuple(paths)
        if key not in self._bounds:
            self._bounds[key] = _bound_of(self._path, paths)
        return self._bounds[key]()


def _bound_of(path: OurPath, photos: Sequence[Path]) -> Callable[[], int]:
    labelled = list(path.labels(photos))
    faces = sum(len(labels.faces) for _, labels in labelled)
    detector, network = path.labeller.detector, path.labeller.network
    # Detect again with all photos together, so that batches are as full as possible.
    work = Work()
    found = detector.detect([photo.picture.copy for photo, _ in labelled], work)
    rng = np.random.default_rng(0)
    levels = [rng.uniform(0, 255, (*shape, 3)).astype(np.float32) for shape in work.levels]
    refined, judged = [
        rng.uniform(0, 255, (max(1, count), side, side, 3)).astype(np.float32)
        for count, side in ((work.refined, 24), (work.judged, 48))
    ]
    rule, size = path.labeller.crop_rule, network.input_size
    # Crops are real faces: whose mirror image is read depends on what they show.
    crops = np.concatenate(
        [
            cut_faces(photo.picture.copy, found_here, rule, size)
            for (photo, _), found_here in zip(labelled, found, strict=True)
        ]
    )

    def run() -> int:
        for level in levels:
            detector.networks.propose(level)
        detector.networks.refine(refined)
        detector.networks.output(judged)
        network.predict(crops)
        return faces

    return run
