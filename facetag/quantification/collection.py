"""Gather the faces of a collection from result lines."""

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from facetag.errors import QuantificationUnavailable
from facetag.heads import RACE, is_counted
from facetag.quantification.held_out_answers import Answers, Codes, Values

Line = Mapping[str, Any]


@dataclass(slots=True)
class Collection:
    """Faces of distinct photos, gathered line by line in a few bytes each."""

    photos: int = 0
    """Distinct photos that could be read."""
    duplicates: int = 0
    """Photos left out because they repeat another one."""
    uncertain: int = 0
    """Faces of which at least one label is uncertain."""
    possible: int = 0
    """Faces left out because they may be none."""
    versions: set[str] = field(default_factory=set)
    _photo_of_face: "array[int]" = field(default_factory=lambda: array("q"))
    _female: "array[float]" = field(default_factory=lambda: array("d"))
    _race: "array[float]" = field(default_factory=lambda: array("d"))
    _age: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, line: Line) -> None:
        """Add one photo's line; duplicates and photos that failed count for nothing."""
        if line["state"] not in ("tagged", "no_face"):
            return
        if line.get("duplicate_of"):
            self.duplicates += 1
            return
        if line["model"]:
            self.versions.add(line["model"])
        for face in line["faces"]:
            if is_counted(face):
                self._add_face(face)
            else:
                self.possible += 1
        self.photos += 1

    @property
    def faces(self) -> int:
        """Return the number of faces."""
        return len(self._photo_of_face)

    @property
    def version(self) -> str:
        """Return the version of the one bundle that labelled all photos.

        Raises QuantificationUnavailable where there are none or several: each has its own errors.
        """
        if not self.versions and self.duplicates:
            raise QuantificationUnavailable(
                "Every labelled photo of this collection repeats one that is not in it, so that "
                "it has no shares."
            )
        if not self.versions:
            raise QuantificationUnavailable(
                "No photo of this collection could be labelled, so that it has no shares: "
                "`facetag tag` says why."
            )
        if len(self.versions) != 1:
            found = ", ".join(sorted(self.versions))
            raise QuantificationUnavailable(
                f"Shares are estimated for photos that one bundle labelled, not {found}: label "
                "them with one bundle (`facetag retag JOB`)."
            )
        return next(iter(self.versions))

    def answers(self) -> tuple[Answers, Codes]:
        """Return what results say of the faces, and the number of the photo (n,) of each face.

        Raises QuantificationUnavailable where there is no face or no label, and where only some
        faces have a label.
        """
        answers = Answers(
            self._column("gender", self._female, 1),
            self._column("race", self._race, len(RACE.labels)),
            self._column("age", self._age, 1),
        )
        if not self.faces or not answers.factors:
            raise QuantificationUnavailable(
                "No face in these results carries a label: there is nothing to estimate."
            )
        _, photos = np.unique(np.asarray(self._photo_of_face, np.intp), return_inverse=True)
        return answers, photos

    def _add_face(self, face: Mapping[str, Any]) -> None:
        self._photo_of_face.append(self.photos)
        self.uncertain += bool(face.get("uncertain"))
        if gender := face.get("gender"):
            chance = float(gender["probability"])
            self._female.append(chance if gender["label"] == "female" else 1 - chance)
        if race := face.get("race"):
            self._race.extend(float(race["probabilities"][label]) for label in RACE.labels)
        if (age := face.get("age")) is not None:
            self._age.append(float(age))

    def _column(self, name: str, values: "array[float]", width: int) -> Values | None:
        if not values:
            return None
        missing = self.faces - len(values) // width
        if missing:
            raise QuantificationUnavailable(
                f"{missing:,} of {self.faces:,} faces have no label of {name}: estimate from "
                "results that were written without --min-certainty."
            )
        column = np.array(values, np.float64)
        return column if width == 1 else column.reshape(-1, width)


def gather(lines: Iterable[Line]) -> Collection:
    """Return the collection that result lines describe."""
    collection = Collection()
    for line in lines:
        collection.add(line)
    return collection
