"""What the worker asks of a labeller, and how one bad photo is kept from spoiling its batch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from facetag.results.image_lines import Face
from facetag.settings import Settings
from facetag.vision.photo import Picture

log = structlog.get_logger(__name__)


class LabelledBatch(Protocol):
    """The faces of each photo, largest first, and the milliseconds that each stage took."""

    @property
    def faces(self) -> Sequence[Sequence[Face]]:
        """One sequence for each photo, in the order of the photos."""

    @property
    def stage_ms(self) -> Mapping[str, float]:
        """For the whole batch: detect, crop, predict."""


class Labeller(Protocol):
    """A detector and a network that are loaded: `facetag.vision.labeller.Labeller`, or a fake."""

    @property
    def version(self) -> str:
        """The bundle's version, which every result carries."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The bundle's manifest, with its `version`."""

    def warm_up(self) -> None:
        """Compile whatever the first photo would otherwise wait for."""

    def label(self, photos: Sequence[Picture], /) -> LabelledBatch:
        """Find and label the faces of photos of any sizes."""


LoadLabeller = Callable[[Settings], Labeller]


@dataclass(frozen=True, slots=True)
class Labels:
    """The faces of one photo and its share of the batch's milliseconds."""

    faces: tuple[Face, ...]
    stage_ms: Mapping[str, float]


def label_photos(
    labeller: Labeller,
    photos: Sequence[Picture],
    *,
    on_progress: Callable[[], None] = lambda: None,
) -> list[Labels | Exception]:
    """Label photos in one batch; where that raises, one by one.

    Returns, in order, each photo's labels, or what the labeller raised for this very photo.
    """
    if not photos:
        return []
    try:
        return list(_label_batch(labeller, photos))
    except Exception:
        if len(photos) > 1:
            log.warning("batch_failed", photos=len(photos), next="one by one", exc_info=True)
    labels: list[Labels | Exception] = []
    for photo in photos:
        labels.append(_label_alone(labeller, photo))
        on_progress()
    return labels


def _label_alone(labeller: Labeller, photo: Picture) -> Labels | Exception:
    try:
        return _label_batch(labeller, [photo])[0]
    except Exception as error:
        log.exception("photo_failed", width=photo.width, height=photo.height)
        return error


def _label_batch(labeller: Labeller, photos: Sequence[Picture]) -> list[Labels]:
    batch = labeller.label(photos)
    share = {stage: ms / len(photos) for stage, ms in batch.stage_ms.items()}
    if len(batch.faces) != len(photos):
        raise ValueError(f"{len(photos)} photos gave {len(batch.faces)} answers")
    return [Labels(tuple(faces), share) for faces in batch.faces]
