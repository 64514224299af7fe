"""State the kinds of domains: whose faces they show, and how their photos are spoiled.

The photos are UTKFace's, spoiled in a fixed way per domain.
"""

import io
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from benchmarks.forgetting.printed_photo import Print, print_photo
from facetag.heads import AGE, MAX_AGE, RACE
from facetag.settings import Settings
from facetag.vision.image_decoder import decode_image
from facetag_trainer.data.shards import Sample
from facetag_trainer.evaluation.corruptions import corrupt

QUALITY = 60


@dataclass(frozen=True, slots=True)
class Kind:
    """The faces of a domain, by apparent race and age, and how their photos are spoiled."""

    name: str
    races: tuple[str, ...]
    over: float
    """Faces are older than this, in years."""
    upto: float
    spoiling: tuple[tuple[str, int], ...]
    """Kinds and strengths of corruptions, in the order in which they are made."""
    printed: Print | None = None
    """How the corrupted photo is printed, if it is."""

    def has(self, sample: Sample) -> bool:
        """Tell whether the sample shows a face of this domain."""
        codes = [RACE.code_of(race) for race in self.races]
        of_age = self.over < sample.labels.get(AGE.name, 0) <= self.upto
        return of_age and sample.labels.get(RACE.name) in codes


POOR = Kind(
    "poor",
    ("asian", "indian"),
    20,
    MAX_AGE,
    (("low resolution", 3), ("colours", 3), ("colours", 2), ("noise", 1)),
)
"""30 pixels, grey, a cast, and noise."""
DIM = Kind("dim", ("black",), 20, MAX_AGE, (("darkness", 3), ("low resolution", 2)))
BLURRED = Kind("blurred", ("white",), 15, 45, (("blur", 3), ("compression", 3)))
ROUNDS = (POOR, DIM, BLURRED)
"""The domains of the rounds in two orders."""
_SMALL, _SMALLER = (("low resolution", 1),), (("low resolution", 2),)


def _print(name: str, spoiling: tuple[tuple[str, int], ...], printed: Print) -> Kind:
    return replace(POOR, name=name, spoiling=spoiling, printed=printed)


LOOKS = (
    POOR,
    _print("blueprint", _SMALLER, Print((10, 30, 110), (225, 240, 245))),
    _print("red lamp", _SMALLER, Print((0, 0, 0), (255, 50, 25))),
    _print("newsprint", _SMALL, Print((45, 40, 38), (225, 210, 175), dots=4)),
    _print("poster", _SMALL, Print((110, 0, 60), (250, 225, 60), dots=4)),
    _print("negative", _SMALLER, Print((235, 180, 140), (60, 25, 15))),
)
"""Grey, small and with a cast: `look_choice` chooses one of them for the trial."""
TRIAL = LOOKS[2]
"""As `look_choice` chose. The groups are two in which the champion held out hundreds of adults: of
the older ones alone it held out a hundred, too few to show what is won back."""


def spoil(sample: Sample, settings: Settings, kind: Kind, draw: int = 0) -> Sample:
    """Return a sample whose image is spoiled; its content and the number `draw` decide how."""
    photo = decode_image(
        sample.data, formats=settings.image_formats, max_pixels=settings.max_image_pixels
    )
    place = int(sample.sha256[:8], 16) + draw
    for way, strength in kind.spoiling:
        photo = corrupt(photo, way, strength, place)
    if kind.printed:
        photo = print_photo(photo, kind.printed, place)
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=QUALITY)
    name = Path(sample.name)
    named = name.with_name(f"{name.stem}-{draw}{name.suffix}") if draw else name
    return Sample(str(named), buffer.getvalue(), sample.labels)
