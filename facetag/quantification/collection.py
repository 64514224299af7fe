"""Gathers the faces of a collection from result lines."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from facetag.errors import QuantificationUnavailable
from facetag.quantification.held_out import Answers, Codes, read_answers

Line = Mapping[str, Any]


@dataclass(slots=True)
class Collection:
    """Faces of distinct photos, gathered line by line."""

    photos: int = 0
    """Distinct photos that could be read."""
    duplicates: int = 0
    """Photos left out because they repeat another one."""
    faces: list[Mapping[str, Any]] = field(default_factory=list)
    photo_of_face: list[int] = field(default_factory=list)
    versions: set[str] = field(default_factory=set)
    uncertain: int = 0
    """Faces of which at least one label is uncertain."""

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
            self.faces.append(face)
            self.photo_of_face.append(self.photos)
            self.uncertain += bool(face.get("uncertain"))
        self.photos += 1

    @property
    def version(self) -> str:
        """Return the version of the one bundle that labelled all photos.

        Raises QuantificationUnavailable where there are none or several: each has its own errors.
        """
        if len(self.versions) != 1:
            found = ", ".join(sorted(self.versions)) or "none"
            raise QuantificationUnavailable(
                f"Shares are estimated for photos that one bundle labelled, not {found}: label "
                "them with one bundle (`facetag retag JOB`)."
            )
        return next(iter(self.versions))

    def answers(self) -> tuple[Answers, Codes]:
        """Return what results say of the faces, and the number of the photo (n,) of each face.

        Raises QuantificationUnavailable where there is no face or no label.
        """
        answers = read_answers(self.faces)
        if not self.faces or not answers.factors:
            raise QuantificationUnavailable(
                "No face in these results carries a label: there is nothing to estimate."
            )
        _, photos = np.unique(np.asarray(self.photo_of_face, np.intp), return_inverse=True)
        return answers, photos


def gather(lines: Iterable[Line]) -> Collection:
    """Return the collection that result lines describe."""
    collection = Collection()
    for line in lines:
        collection.add(line)
    return collection
