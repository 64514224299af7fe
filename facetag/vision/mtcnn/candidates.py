"""Hold the boxes that may be faces, and drop those that better ones overlap."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from facetag.vision.mtcnn.boxes import Boxes, suppress

MOST_PROPOSALS = 4000
"""Proposals kept per photo and level, best first: a photo of noise must not take all memory."""
FEW_PROPOSALS = 256
"""Proposals of several groups compared at once; with fewer, most time is spent on calls."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Boxes (n, 4) on working copies, scores (n,) and each one's group (n,).

    Candidates of one group compete with one another. What the output network has judged has
    landmarks (n, 5, 2), x and y each, and what was looked at again has evidence (n, any); others
    have none.
    """

    boxes: Boxes
    scores: npt.NDArray[np.float32]
    groups: npt.NDArray[np.int32]
    landmarks: npt.NDArray[np.float32] | None = None
    evidence: npt.NDArray[np.float32] | None = None

    def take(self, index: npt.NDArray[np.intp]) -> "Candidates":
        """Return those at `index`, in its order."""
        landmarks = None if self.landmarks is None else self.landmarks[index]
        evidence = None if self.evidence is None else self.evidence[index]
        scores, groups = self.scores[index], self.groups[index]
        return Candidates(self.boxes[index], scores, groups, landmarks, evidence)

    def without_overlaps(
        self,
        threshold: float,
        over: Literal["union", "smaller"] = "union",
        groups: npt.NDArray[np.signedinteger] | None = None,
    ) -> "Candidates":
        """Return those that overlap no better one of the same group (n,), by default their own."""
        groups = self.groups if groups is None else groups
        kept = [
            part[suppress(self.boxes[part], self.scores[part], threshold, over, groups[part])]
            for part in _in_parts(self.scores, groups)
        ]
        return self.take(np.concatenate(kept)) if kept else NOTHING


NOTHING = Candidates(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))


def concatenate(parts: Sequence[Candidates]) -> Candidates:
    """Return the candidates of all parts."""
    if not parts:
        return NOTHING
    landmarks = [part.landmarks for part in parts if part.landmarks is not None]
    return Candidates(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.groups for part in parts]),
        np.concatenate(landmarks) if landmarks else None,
    )


def _in_parts(
    scores: npt.NDArray[np.float32], groups: npt.NDArray[np.signedinteger]
) -> Iterator[npt.NDArray[np.intp]]:
    """Yield the indices of each group's best, with several small groups in one part."""
    part: list[npt.NDArray[np.intp]] = []
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        if len(members) > MOST_PROPOSALS:
            best = np.argpartition(-scores[members], MOST_PROPOSALS)[:MOST_PROPOSALS]
            members = members[np.sort(best)]
        if part and sum(map(len, part)) + len(members) > FEW_PROPOSALS:
            yield np.concatenate(part)
            part = []
        part.append(members)
    if part:
        yield np.concatenate(part)
