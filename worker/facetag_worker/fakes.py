"""Provide a labeller without a network, for tests of everything around the labelling."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from facetag.results.image_lines import Face
from facetag.vision.photo import Picture

FAKE_VERSION = "fake-1"


@dataclass(frozen=True, slots=True)
class FakeBatch:
    """Hold the answer of `FakeLabeller.label`."""

    faces: list[list[Face]]
    stage_ms: dict[str, float]


@dataclass
class FakeLabeller:
    """Find one face, a quarter of the photo, in every photo that is brighter than middle grey.

    Each photo takes `photo_s` seconds. `before` is called with each photo before it is labelled;
    it may raise what a network would raise for this photo.
    """

    photo_s: float = 0.0
    before: Callable[[Picture], None] = lambda _photo: None
    version: str = FAKE_VERSION
    batches: list[int] = field(default_factory=list)
    """The number of photos of each call."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """Return the minimum that a bundle's manifest holds."""
        return {"version": self.version, "backbone": "fake"}

    def warm_up(self) -> None:
        """Do nothing, as there is nothing to compile."""

    def label(
        self, photos: Sequence[Picture], /, *, heads: Collection[str] | None = None
    ) -> FakeBatch:
        """Label each photo by its brightness, with these heads."""
        self.batches.append(len(photos))
        for photo in photos:
            self.before(photo)
            time.sleep(self.photo_s)
        spent_ms = 1000 * self.photo_s * len(photos)
        stage_ms = {"detect": spent_ms / 2, "crop": 0.0, "predict": spent_ms / 2}
        return FakeBatch([_faces_in(photo, heads) for photo in photos], stage_ms)


def _faces_in(photo: Picture, heads: Collection[str] | None) -> list[Face]:
    if photo.copy.mean() <= 127:
        return []
    height, width = photo.height, photo.width
    attributes = {
        "age": 30.0,
        "age_range": [25, 35],
        "gender": {"label": "female", "probability": 0.9},
        "race": {"label": "other", "probabilities": {"other": 1.0}},
    }
    if heads is not None:
        names = [name for head in heads for name in (head, f"{head}_range")]
        attributes = {name: attributes[name] for name in attributes if name in names}
    return [Face((width // 4, height // 4, width // 2, height // 2), 0.99, attributes)]
