"""Count who is in a collection, line by line, for the composition report."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from facetag.age_bands import band_label
from facetag.heads import GENDER, is_counted

AGE_STEP = 10
AGE_BINS: tuple[str, ...] = (
    *(f"{low}–{low + AGE_STEP - 1}" for low in range(0, 80, AGE_STEP)),
    "80+",
)
"""Bins of apparent age in years, the youngest first."""

FACE_BINS: tuple[str, ...] = ("0", "1", "2", "3", "4", "5–9", "10+")
"""Bins of the number of faces in a photo."""

NAMES_PER_CODE = 100
"""Most photo names listed per kind of failure; all photos are counted."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Divide probabilities from `low` to 1 into bins; lower values count in the first bin."""

    title: str
    low: float
    bins: int

    def bin_of(self, value: float) -> int:
        """Return the bin of a probability."""
        # Rounded to ten decimals, so that 0.7 does not fall below the edge 0.7.
        place = round((value - self.low) / (1 - self.low) * self.bins, 10)
        return min(max(int(place), 0), self.bins - 1)

    def edges(self, index: int) -> tuple[float, float]:
        """Return the lower and upper edge of a bin."""
        width = (1 - self.low) / self.bins
        return self.low + index * width, self.low + (index + 1) * width


SCALES: Mapping[str, Scale] = {
    "face": Scale("Face detection", 0.9, 10),
    "gender": Scale("Apparent gender", 0.5, 10),
    "race": Scale("Apparent race", 0.2, 8),
}
"""Histograms of confidence: the detector's, and the probability of the chosen labels."""


Cell = tuple[str | None, str | None, str | None]
"""Apparent gender, race and band of age of a face; None for what was not predicted."""


@dataclass(slots=True)
class FailureGroup:
    """Hold the photos that failed for one reason."""

    count: int = 0
    message: str = ""
    """The message of the first photo."""
    names: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Composition:
    """Count photos and faces; a face without an attribute is left out of its counts.

    Photos and their states are counted all. Faces are counted in distinct photos: those of a photo
    that repeats another one are left out.
    """

    photos: int = 0
    duplicates: int = 0
    """Photos that repeat another one of the collection."""
    incomplete: int = 0
    """Photos that were labelled although their files lack their last bytes."""
    faces: int = 0
    possible: int = 0
    """Faces that may be none; nothing else counts them, save the histogram of confidence."""
    states: Counter[str] = field(default_factory=Counter)
    ages: Counter[int] = field(default_factory=Counter)
    """Faces by apparent age in whole years."""
    pyramid: dict[str, list[int]] = field(
        default_factory=lambda: {label: [0] * len(AGE_BINS) for label in GENDER.labels}
    )
    """Faces by apparent gender, then by AGE_BINS."""
    genders: Counter[str] = field(default_factory=Counter)
    races: Counter[str] = field(default_factory=Counter)
    races_by_gender: dict[str, Counter[str]] = field(
        default_factory=lambda: {label: Counter() for label in GENDER.labels}
    )
    cells: Counter[Cell] = field(default_factory=Counter)
    uncertain_cells: Counter[Cell] = field(default_factory=Counter)
    """Faces of each cell of which at least one label is uncertain."""
    faces_per_photo: list[int] = field(default_factory=lambda: [0] * len(FACE_BINS))
    confidence: dict[str, list[int]] = field(
        default_factory=lambda: {name: [0] * scale.bins for name, scale in SCALES.items()}
    )
    failures: dict[str, FailureGroup] = field(default_factory=dict)
    versions: Counter[str] = field(default_factory=Counter)
    """Photos by the version of the network that labelled them."""

    def add(self, line: Mapping[str, Any]) -> None:
        """Count one image's line of the results."""
        self.photos += 1
        self.states[line["state"]] += 1
        self.incomplete += bool(line.get("incomplete"))
        if line["model"]:
            self.versions[line["model"]] += 1
        if line["error"] is not None:
            self._add_failure(line["image"], line["error"])
        elif line.get("duplicate_of") is not None:
            self.duplicates += 1
            return
        elif line["state"] in ("tagged", "no_face"):
            self.faces_per_photo[face_bin(sum(map(is_counted, line["faces"])))] += 1
        for face in line["faces"]:
            self._add_confidence("face", face["confidence"])
            if is_counted(face):
                self._add_face(face)
            else:
                self.possible += 1

    @property
    def median_age(self) -> int | None:
        """Median apparent age, the lower of two middle ones; None without ages."""
        below = 0
        total = self.ages.total()
        for age in sorted(self.ages):
            below += self.ages[age]
            if 2 * below >= total:
                return age
        return None

    @property
    def failed(self) -> int:
        """Photos that failed."""
        return self.states["failed"]

    def _add_failure(self, name: str, error: Mapping[str, str]) -> None:
        group = self.failures.setdefault(error["code"], FailureGroup(message=error["message"]))
        group.count += 1
        if len(group.names) < NAMES_PER_CODE:
            group.names.append(name)

    def _add_face(self, face: Mapping[str, Any]) -> None:
        self.faces += 1
        cell = cell_of(face)
        self.cells[cell] += 1
        self.uncertain_cells[cell] += bool(face.get("uncertain"))
        age = face.get("age")
        gender = (face.get("gender") or {}).get("label")
        race = (face.get("race") or {}).get("label")
        if age is not None:
            self.ages[int(age)] += 1
        if gender is not None:
            self.genders[gender] += 1
            self._add_confidence("gender", face["gender"]["probability"])
            if age is not None:
                self.pyramid[gender][age_bin(age)] += 1
        if race is not None:
            self.races[race] += 1
            self._add_confidence("race", face["race"]["probabilities"][race])
            if gender is not None:
                self.races_by_gender[gender][race] += 1

    def _add_confidence(self, name: str, value: float) -> None:
        self.confidence[name][SCALES[name].bin_of(value)] += 1


def compose(lines: Iterable[Mapping[str, Any]]) -> Composition:
    """Return the composition of all lines."""
    composition = Composition()
    for line in lines:
        composition.add(line)
    return composition


def cell_of(face: Mapping[str, Any]) -> Cell:
    """Return the cell of gender by race by age that a face is in."""
    age = face.get("age")
    gender, race = (face.get(name) or {} for name in ("gender", "race"))
    return gender.get("label"), race.get("label"), None if age is None else band_label(age)


def age_bin(age: float) -> int:
    """Return the index in AGE_BINS of an age in years."""
    return min(int(age) // AGE_STEP, len(AGE_BINS) - 1)


def face_bin(count: int) -> int:
    """Return the index in FACE_BINS of a number of faces."""
    if count < 5:
        return count
    return 5 if count < 10 else 6
