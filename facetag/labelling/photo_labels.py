"""Label the photos of a chunk, so that one bad photo does not spoil its batch."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from structlog.contextvars import bound_contextvars

from facetag.db.tables import ImageState
from facetag.errors import ErrorCode
from facetag.labelling.outcomes import Outcome
from facetag.labelling.photo_reader import INTERNAL, Photo
from facetag.results.image_lines import Face
from facetag.settings import Settings
from facetag.vision.photo import Picture

log = structlog.get_logger(__name__)


class BatchLabels(Protocol):
    """Describe a labeller's answer: faces per photo, largest first, and milliseconds per stage."""

    @property
    def faces(self) -> Sequence[Sequence[Face]]:
        """A sequence of faces per photo, in the order of the photos."""

    @property
    def stage_ms(self) -> Mapping[str, float]:
        """Milliseconds of detect, crop and predict for the whole batch."""


class PhotoLabeller(Protocol):
    """Describe a loaded detector and network: `facetag.vision.labeller.Labeller`, or a fake."""

    @property
    def version(self) -> str:
        """The bundle's version, which every result carries."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The bundle's manifest, with its `version`."""

    def warm_up(self) -> None:
        """Prepare everything that the first photo would otherwise wait for."""

    def label(
        self, photos: Sequence[Picture], /, *, heads: Collection[str] | None = None
    ) -> BatchLabels:
        """Find the faces of photos of any sizes, and label them with these heads, or with all."""


@dataclass(frozen=True, slots=True)
class KeyedLabeller:
    """Hold a labeller and the key under which its results may be reused."""

    labeller: PhotoLabeller
    key: bytes


LoadLabeller = Callable[[Settings], PhotoLabeller]


@dataclass(frozen=True, slots=True)
class Labels:
    """Hold the faces of one photo and its share of the batch's milliseconds."""

    faces: tuple[Face, ...]
    stage_ms: Mapping[str, float]


def label_photos(
    labeller: PhotoLabeller,
    photos: Sequence[Picture],
    *,
    heads: Collection[str] | None = None,
    ids: Sequence[int] = (),
    on_progress: Callable[[], None] = lambda: None,
) -> list[Labels | Exception]:
    """Label photos in one batch with these heads; if that raises, label them one by one.

    What is logged names the photos by `ids`, where they have any. Returns, in order, each photo's
    labels or the exception that the labeller raised for it.
    """
    if not photos:
        return []
    try:
        return list(_label_batch(labeller, photos, heads))
    except Exception:
        if len(photos) > 1:
            log.warning("batch_failed", ids=list(ids), next="one by one", exc_info=True)
    labels: list[Labels | Exception] = []
    for number, photo in enumerate(photos):
        with bound_contextvars(image=ids[number] if ids else None):
            labels.append(_label_alone(labeller, photo, heads))
        on_progress()
    return labels


def _label_alone(
    labeller: PhotoLabeller, photo: Picture, heads: Collection[str] | None
) -> Labels | Exception:
    try:
        return _label_batch(labeller, [photo], heads)[0]
    except Exception as error:
        log.exception("photo_failed", width=photo.width, height=photo.height)
        return error


def _label_batch(
    labeller: PhotoLabeller, photos: Sequence[Picture], heads: Collection[str] | None
) -> list[Labels]:
    batch = labeller.label(photos, heads=heads)
    share = {stage: ms / len(photos) for stage, ms in batch.stage_ms.items()}
    if len(batch.faces) != len(photos):
        raise ValueError(f"the labeller gave {len(batch.faces)} answers for {len(photos)} photos")
    return [Labels(tuple(faces), share) for faces in batch.faces]


def to_outcome(photo: Photo, labels: Labels | Exception, version: str) -> Outcome:
    """Return the outcome of a photo that a labeller of this version has labelled."""
    width, height = photo.picture.width, photo.picture.height
    if isinstance(labels, Exception):
        error = (ErrorCode.INTERNAL_ERROR.value, INTERNAL)
        return Outcome(photo.image.id, ImageState.FAILED, error, width, height)
    return Outcome(
        photo.image.id,
        ImageState.TAGGED if labels.faces else ImageState.NO_FACE,
        width=width,
        height=height,
        faces=labels.faces,
        stage_ms={**photo.stage_ms, **labels.stage_ms},
        model_version=version,
        incomplete=photo.picture.incomplete,
        look=photo.look,
    )
