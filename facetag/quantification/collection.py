"""Gather the faces of a collection from result lines."""

import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from facetag.errors import QuantificationUnavailable
from facetag.heads import GENDER, RACE, is_counted
from facetag.quantification.groupings import FACTORS, age_codes
from facetag.quantification.held_out_answers import Answers, Codes, Values

Line = Mapping[str, Any]
Flags = npt.NDArray[np.bool_]

UNREVIEWED = -1
"""The code of a label that nobody reviewed, or on which reviewers are not agreed."""


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
    _predicted: set[str] = field(default_factory=set)
    """Heads of which the network gave some face a label."""
    _missed: "array[int]" = field(default_factory=lambda: array("b"))
    _reviewed: "dict[str, array[int]]" = field(
        default_factory=lambda: {factor: array("b") for factor in FACTORS}
    )

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
        return int(self._kept().sum())

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
        columns = self._columns()
        kept = self._kept()
        if not kept.any() or not columns:
            raise QuantificationUnavailable(
                "No face in these results carries a label: there is nothing to estimate."
            )
        for name, column in columns.items():
            if missing := int(np.isnan(column[kept, 0]).sum()):
                raise QuantificationUnavailable(
                    f"{missing:,} of {kept.sum():,} faces have no label of {name}: estimate from "
                    "results that were written without --min-certainty."
                )
        gender, race, age = (columns.get(name) for name in FACTORS)
        answers = Answers(
            None if gender is None else gender[kept, 0],
            None if race is None else race[kept],
            None if age is None else age[kept, 0],
        )
        of_faces = np.asarray(self._photo_of_face, np.intp)[kept]
        _, photos = np.unique(of_faces, return_inverse=True)
        return answers, photos

    def reviewed(self) -> dict[str, Codes]:
        """Return the faces' labels (n,) by factor as people settled them, else UNREVIEWED."""
        kept = self._kept()
        return {
            factor: np.asarray(codes, np.intp)[kept] for factor, codes in self._reviewed.items()
        }

    def _add_face(self, face: Mapping[str, Any]) -> None:
        self._photo_of_face.append(self.photos)
        self.uncertain += bool(face.get("uncertain"))
        gender, race, age = face.get("gender"), face.get("race"), face.get("age")
        chance = float(gender["probability"]) if gender else math.nan
        self._female.append(1 - chance if gender and gender["label"] == "male" else chance)
        chances = race["probabilities"] if race else dict.fromkeys(RACE.labels, math.nan)
        self._race.extend(float(chances[label]) for label in RACE.labels)
        self._age.append(math.nan if age is None else float(age))
        reviewed = face.get("reviewed") or {}
        of_network = reviewed.get("said", {}) if reviewed else face
        self._predicted.update(name for name in FACTORS if of_network.get(name) is not None)
        self._missed.append(reviewed.get("verdict") == "missed")
        doubted = set(FACTORS) if not reviewed else set(face.get("uncertain") or ())
        codes = {
            "gender": GENDER.code_of(gender["label"]) if gender else UNREVIEWED,
            "race": RACE.code_of(race["label"]) if race else UNREVIEWED,
            "age": UNREVIEWED if age is None else int(age_codes(np.array([age]))[0]),
        }
        for factor, code in codes.items():
            self._reviewed[factor].append(UNREVIEWED if factor in doubted else code)

    def _columns(self) -> dict[str, Values]:
        """Return the answers by head, NaN where there is none.

        Heads without any are left out, and heads that people alone labelled, but not on all faces
        that the network found.
        """
        columns = {
            "gender": np.array(self._female).reshape(-1, 1),
            "race": np.array(self._race).reshape(-1, len(RACE.labels)),
            "age": np.array(self._age).reshape(-1, 1),
        }
        found = ~np.asarray(self._missed, bool)
        lacking = {name: np.isnan(column[:, 0]) for name, column in columns.items()}
        return {
            name: column
            for name, column in columns.items()
            if not lacking[name].all()
            and (name in self._predicted or not lacking[name][found].any())
        }

    def _kept(self) -> Flags:
        """Tell which faces (n,) count: not those that people found but labelled in part only."""
        kept = np.ones(len(self._missed), bool)
        for column in self._columns().values():
            kept &= ~np.isnan(column[:, 0])
        counted: Flags = kept | ~np.asarray(self._missed, bool)
        return counted


def gather(lines: Iterable[Line]) -> Collection:
    """Return the collection that result lines describe."""
    collection = Collection()
    for line in lines:
        collection.add(line)
    return collection
