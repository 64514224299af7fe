"""Draw collections of known shares from held-out faces, to see how wrong estimates are.

A simulated face takes its answers from a held-out face of its group. Of a crossing that the
held-out images hardly show, answers are also put together: those about the first factor from any
face with that label, and those about the second from another.

A crossing's few held-out faces are not all the faces that it has, so that every collection weighs
them anew. Likelihoods are fitted by factor, and no draw of the faces that fit them shows this. The
weights are a draw from the posterior of a Dirichlet process (Ferguson 1973, "A Bayesian Analysis of
Some Nonparametric Problems", Annals of Statistics 1; Rubin 1981, "The Bayesian Bootstrap").
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from facetag.quantification.groupings import FACTORS, Grouping
from facetag.quantification.held_out_answers import Codes, HeldOut, Values

PSEUDO_FACES = 2.0
"""A crossing with this many held-out faces has about half of its answers put together from two
faces."""
LEAST = 1e-9
"""The least chance of a face: it is drawn if its group has no others."""
MOST_FACES = 3_000
"""Larger collections are simulated with this many faces: the held-out faces decide by then."""


@dataclass(frozen=True, slots=True)
class SimulatedCollection:
    """Hold the answers of n simulated faces."""

    rows: Mapping[str, Codes]
    """By factor: the held-out face (n,) whose answer about it is taken."""
    groups: Codes
    """The true group of each face, (n,)."""
    weights: Values
    """How often each face counts, (n,)."""
    shares: Values
    """The true shares, (groups,)."""


class CollectionSimulator:
    """Draw collections of one grouping as large as a given one."""

    def __init__(
        self,
        held_out: HeldOut,
        grouping: Grouping,
        faces: int,
        repetition: Values,
        chances: Values | None = None,
    ) -> None:
        """Prepare the draws.

        `repetition` (groups,) says how many faces of a group stand in one photo: their answers are
        alike, so that only one of so many is drawn. `chances` (n,) say how much oftener than others
        of its group each held-out face is drawn.
        """
        self._chances = np.ones(len(held_out)) if chances is None else np.maximum(chances, LEAST)
        self._faces, self._repetition, self._grouping = faces, repetition, grouping
        groups = len(grouping.labels)
        self._own = _Strata(grouping.codes(held_out.codes), groups)
        self._labels = np.arange(groups)[None]
        if len(grouping.factors) > 1:
            self._labels = np.array(np.divmod(np.arange(groups), len(FACTORS[grouping.factors[1]])))
        self._by_factor = [
            _Strata(held_out.codes[factor], len(FACTORS[factor])) for factor in grouping.factors
        ]
        of_labels = [
            strata.faces[labels] > 0
            for strata, labels in zip(self._by_factor, self._labels, strict=True)
        ]
        self._possible = (self._own.faces > 0) | np.all(of_labels, axis=0)

    def draw(self, shares: Values, rng: np.random.Generator) -> SimulatedCollection:
        """Return a collection with about these shares (groups,).

        Groups of which no answers can be drawn are left out. If only they have a share, the others
        are drawn alike.
        """
        kept = np.where(self._possible, np.clip(shares, 0, None), 0.0)
        if kept.sum() == 0:
            kept = self._possible.astype(np.float64)
        counts = rng.multinomial(self._faces, kept / kept.sum())
        smaller = max(self._faces / MOST_FACES, 1)
        numbers = np.ceil(counts / self._repetition / smaller).astype(np.intp)
        of_groups = np.repeat(np.arange(len(counts)), numbers)
        weights = (counts / np.maximum(numbers, 1))[of_groups]
        rows = self._draw_rows(of_groups, rng)
        return SimulatedCollection(rows, of_groups, weights, counts / self._faces)

    def _draw_rows(self, groups: Codes, rng: np.random.Generator) -> dict[str, Codes]:
        first, *others = (
            strata.draw(labels[groups], self._chances, rng)
            for strata, labels in zip(self._by_factor, self._labels, strict=True)
        )
        if not others:
            return dict.fromkeys(FACTORS, first)
        weighed = self._chances * rng.standard_exponential(len(self._chances))
        whole = self._own.draw(groups, weighed, rng)
        as_one = rng.beta(np.maximum(self._own.faces, 1), PSEUDO_FACES)
        as_one[self._own.faces == 0] = 0
        alone = rng.random(len(groups)) >= as_one[groups]
        rows = dict.fromkeys(FACTORS, np.where(alone, first, whole))
        return rows | {self._grouping.factors[1]: np.where(alone, others[0], whole)}


class _Strata:
    """Held-out faces by group, to draw from many groups at once."""

    def __init__(self, codes: Codes, groups: int) -> None:
        self.faces = np.bincount(codes, minlength=groups)
        self._order = np.argsort(codes, kind="stable")
        self._ends = np.cumsum(self.faces)

    def draw(self, groups: Codes, chances: Values, rng: np.random.Generator) -> Codes:
        """Return one face of each of the groups (m,), by the chances (n,) of all faces.

        Any face stands for a group without one.
        """
        below = np.cumsum(chances[self._order])
        last = self._ends[groups] - 1
        first = last - self.faces[groups] + 1
        start = np.where(first > 0, below[first - 1], 0.0)
        wanted = start + rng.random(len(groups)) * (below[last] - start)
        # A rounded product may lie at the end itself, which is below no face of the group.
        places = np.clip(np.searchsorted(below, wanted, side="right"), first, last)
        found: Codes = self._order[places]
        return found
