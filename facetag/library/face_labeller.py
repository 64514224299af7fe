"""Label photos in this process with the reader and the labeller of a worker."""

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from PIL.Image import fromarray

from facetag.cpu import available_cores
from facetag.db.storable_text import storable
from facetag.errors import ErrorCode, FacetagError, ImageUnreadable
from facetag.labelling.outcomes import MAX_MESSAGE_CHARS, ImageToLabel, Outcome
from facetag.labelling.photo_labels import PhotoLabeller, label_photos, to_outcome
from facetag.labelling.photo_reader import (
    MAX_PIXELS_AHEAD,
    Photo,
    PhotoReader,
    Unread,
    make_reader,
)
from facetag.library.photo_items import PhotoInput, PhotoItem, list_items, read_item, to_pixels
from facetag.log import log_as_a_library
from facetag.results.duplicates import Duplicates
from facetag.results.image_lines import Line, image_line
from facetag.results.photo_results import PhotoResults
from facetag.settings import Settings, load_settings
from facetag.vision.difference_hash import hash_look
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.photo import WORKING_SIDE, whole_picture

TRIES = 3
"""How often a photo is read until it fails because no process starts to decode it. Unlike a worker,
nobody waits here until the machine has memory again."""


def label(
    photos: PhotoInput | Iterable[PhotoInput],
    *,
    heads: str | Sequence[str] | None = None,
    min_face: float | None = None,
    bundle: str | Path | None = None,
    progress: bool | None = None,
) -> PhotoResults:
    """Label the faces in photos: a folder, files, bytes, arrays (RGB, uint8) or Pillow images.

    Returns the results in order, one per photo, as the photos are labelled: the same fields as
    `facetag tag --format jsonl` writes. A file that cannot be read has the state `failed`. `heads`
    are some of age, gender and race; `min_face` is the smallest face to find, as a share of the
    photo's long side; `bundle` is the folder of another network. Without them FACETAG_HEADS,
    FACETAG_MIN_FACE and FACETAG_BUNDLE apply. A progress bar is shown in terminals and notebooks
    (`progress=False` hides it).

    Loading the network takes some seconds: use a FaceLabeller to label several times.
    Raises SettingsInvalid, BundleInvalid, InputInvalid, and OSError for a folder that cannot be
    listed.
    """
    items, total = list_items(photos)
    labeller = FaceLabeller(heads=heads, min_face=min_face, bundle=bundle)

    def lines() -> Iterator[Line]:
        with labeller:
            yield from labeller.label_items(items)

    return PhotoResults(_shown(lines(), total, progress))


class FaceLabeller:
    """Hold a network that is loaded once, and label photos with it as often as asked.

    It computes on all cores of this process. Load it after a fork, never before. `loaded` is a
    labeller that was loaded already, such as a fake.
    """

    def __init__(
        self,
        *,
        heads: str | Sequence[str] | None = None,
        min_face: float | None = None,
        bundle: str | Path | None = None,
        loaded: PhotoLabeller | None = None,
    ) -> None:
        given: dict[str, Any] = {"heads": heads, "min_face": min_face, "bundle": bundle}
        self._settings = load_settings(
            **{name: value for name, value in given.items() if value is not None}
        )
        log_as_a_library()
        self._slots = CpuSlots.for_lanes(available_cores())
        self._loaded: PhotoLabeller | None = loaded or _load(self._settings, self._slots)
        self._process = os.getpid()

    @property
    def version(self) -> str:
        """The version of the bundle that labels."""
        return self._network().version

    def label(self, photos: PhotoInput | Iterable[PhotoInput]) -> Iterator[Line]:
        """Yield the result of each photo in order; nothing is kept (see `facetag.label`)."""
        items, _ = list_items(photos)
        return self.label_items(items)

    def label_items(self, items: Iterator[PhotoItem]) -> Iterator[Line]:
        """Yield the result of each photo in order; the next chunk is read while one is labelled.

        Raises FacetagError once the labeller is closed, and in a process forked after it was
        loaded.
        """
        labeller = self._network()
        photos = _HeldPhotos({}, {})
        reader = make_reader(photos, self._settings, self._slots, may_read=lambda image: True)
        run = _Run(self._settings, labeller, reader, photos, enumerate(items))
        try:
            yield from run.lines()
        finally:
            reader.close()

    def close(self) -> None:
        """Let the network go."""
        self._loaded = None

    def _network(self) -> PhotoLabeller:
        if self._loaded is None:
            raise FacetagError("This labeller is closed: take its results before, or load another.")
        # A fork has none of the threads that compute, so it would wait for ever.
        if os.getpid() != self._process:
            raise FacetagError(
                "This labeller was loaded before this process was forked, and computes only where "
                "it was loaded. Load one in each process."
            )
        return self._loaded

    def __enter__(self) -> Self:
        """Return the labeller itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the network go."""
        self.close()


@dataclass(frozen=True, slots=True)
class _HeldPhotos:
    """Hand files and bytes to the reader, which asks for them by their keys."""

    held: dict[str, PhotoItem]
    contents: dict[str, bytes]

    def fetch(self, _bucket: str, key: str, max_bytes: int) -> bytes:
        """Return a photo's bytes; raises ImageUnreadable."""
        data = read_item(self.held[key], max_bytes)
        self.contents[key] = hashlib.sha256(data).digest()
        return data


class _Run:
    """Take photos from reading to results, as `facetag_worker.pipeline` does from claims."""

    def __init__(
        self,
        settings: Settings,
        labeller: PhotoLabeller,
        reader: PhotoReader,
        photos: _HeldPhotos,
        items: Iterator[tuple[int, PhotoItem]],
    ) -> None:
        self._settings = settings
        self._labeller = labeller
        self._reader = reader
        self._names: dict[int, str] = {}
        self._held = photos.held
        self._contents = photos.contents
        self._duplicates = Duplicates()
        self._firsts: dict[int, str] = {}
        self._items = items
        self._unread: deque[ImageToLabel] = deque()

    def lines(self) -> Iterator[Line]:
        """Yield results in order, however the photos were read."""
        done: dict[int, Outcome] = {}
        place = 0
        with ThreadPoolExecutor(1, thread_name_prefix="ahead") as ahead:
            coming: Future[list[Photo | Outcome]] = ahead.submit(self._read)
            # Nothing may have been read because no photo could be decoded yet.
            while (chunk := coming.result()) or self._unread:
                coming = ahead.submit(self._read)
                for outcome in self._label(chunk):
                    done[outcome.image_id] = outcome
                while place in done:
                    yield self._to_line(done.pop(place))
                    place += 1

    def _read(self) -> list[Photo | Outcome]:
        """Read the next chunk; photos that stay unread come first in the next one."""
        room = self._settings.chunk_images - len(self._unread)
        files = [*self._unread]
        self._unread.clear()
        read: list[Photo | Outcome] = []
        pixels_ahead = 0
        for place, item in islice(self._items, max(0, room)):
            image = self._claim(place, item)
            if image.key in self._held:
                files.append(image)
                continue
            one = self._take_pixels(image, item)
            read.append(one)
            pixels_ahead += one.picture.pixels_held if isinstance(one, Photo) else 0
            # The others are not even taken from the caller's iterator, which may make them.
            if pixels_ahead >= MAX_PIXELS_AHEAD:
                break
        for result in self._reader.read(files):
            if not isinstance(result, Unread):
                read.append(result)
            elif result.away:
                read += self._put_back(result)
            else:
                self._unread.append(result.image)
        return sorted(read, key=_place)

    def _put_back(self, unread: Unread) -> list[Photo | Outcome]:
        """Have a photo read again, or return its failure after so many tries."""
        image = replace(unread.image, releases=unread.image.releases + 1)
        if image.releases >= TRIES:
            return [Outcome.failure(image.id, ErrorCode.INTERNAL_ERROR, unread.reason)]
        self._unread.append(image)
        return []

    def _claim(self, place: int, item: PhotoItem) -> ImageToLabel:
        self._names[place] = item.name
        if item.is_file:
            self._held[str(place)] = item
        return ImageToLabel(id=place, position=place, bucket="", key=str(place), name=item.name)

    def _take_pixels(self, image: ImageToLabel, item: PhotoItem) -> Photo | Outcome:
        try:
            pixels = to_pixels(item.photo, self._settings.max_image_pixels)  # type: ignore[arg-type]
        except ImageUnreadable as error:
            return Outcome.failure(image.id, error.code, str(error))
        picture = whole_picture(pixels, WORKING_SIDE)
        return Photo(image, picture, hash_look(fromarray(picture.copy)), {})

    def _label(self, chunk: Sequence[Photo | Outcome]) -> Iterator[Outcome]:
        photos = [one for one in chunk if isinstance(one, Photo)]
        labels = label_photos(self._labeller, [photo.picture for photo in photos])
        yield from (one for one in chunk if isinstance(one, Outcome))
        for photo, found in zip(photos, labels, strict=True):
            yield to_outcome(photo, found, self._labeller.version)

    def _to_line(self, outcome: Outcome) -> Line:
        code, message = outcome.error or (None, "")
        name = self._names.pop(outcome.image_id)
        self._held.pop(str(outcome.image_id), None)
        return image_line(
            name=name,
            state=outcome.state.value,
            error=None if code is None else (code, storable(message, MAX_MESSAGE_CHARS)),
            model=outcome.model_version,
            width=outcome.width,
            height=outcome.height,
            faces=outcome.faces,
            incomplete=outcome.incomplete,
            duplicate_of=self._find_first(outcome, name),
        )

    def _find_first(self, outcome: Outcome, name: str) -> str | None:
        """Return the name of the earlier photo that this one repeats, as jobs mark it."""
        content = self._contents.pop(str(outcome.image_id), None)
        if outcome.error is not None:
            return None
        first = self._duplicates.place(outcome.image_id, content, outcome.look)
        if first is None:
            self._firsts[outcome.image_id] = name
        return None if first is None else self._firsts[first]


def _place(one: Photo | Outcome) -> int:
    return one.image.id if isinstance(one, Photo) else one.image_id


def _load(settings: Settings, slots: CpuSlots) -> PhotoLabeller:
    # TensorFlow's notes on instruction sets would bury what the caller prints.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    slots.limit_tensorflow()
    from facetag.vision.labeller import load_labeller

    labeller = load_labeller(settings, slots)
    labeller.warm_up()
    return labeller


def _shown(lines: Iterator[Line], total: int | None, progress: bool | None) -> Iterator[Line]:
    """Show a bar while the lines pass; without `progress`, only to people."""
    from tqdm.auto import tqdm

    # None: tqdm shows itself in terminals and notebooks alone.
    disable = None if progress is None else not progress
    yield from tqdm(lines, total=total, unit="photo", desc="Labelling", disable=disable)
