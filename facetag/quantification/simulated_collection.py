"""Draw collections of known shares from held-out faces, to see how wrong estimates are.

A simulated face takes its answers from a held-out face of its group. Of a crossing that the
held-out images hardly show, answers are also put together: those about the first factor from any
face with that label, and those about the second from another.

A crossing's few held-out faces are not all the faces that it has, so that every collection weighs
them anew. Likelihoods are fitted by factor, and no draw of the faces that fit them shows this. The
weights are a draw from the posterior of a Dirichlet process (Ferguson 1973, "A Bayesian Analysis of
Some Nonparametric Problems", Annals of Statistics 1; Rubin 1981, "The Bayesian Bootstrap").
"""

from dataclasses import dataclass

import numpy as np

from facetag.quantification.groupings import FACTORS, Grouping
from facetag.quantification.held_out_answers import Answers, Codes, HeldOut, Values

PSEUDO_FACES = 2.0
"""A crossing with this many held-out faces has about half of its answers put together from two
faces."""
MOST_FACES = 3_000
"""Larger collections are simulated with this many faces: the held-out faces decide by then."""
COLUMNS = {"gender": "female", "race": "race", "age": "age"}
"""The field of Answers that each factor is read from."""


@dataclass(frozen=True, slots=True)
class SimulatedCollection:
    """Answers of simulated faces, how often each counts (n,), and the true shares (groups,)."""

    answers: Answers
    weights: Values
    shares: Values


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
        self._chances = np.ones(len(held_out)) if chances is None else chances
        self._held_out, self._faces, self._repetition = held_out, faces, repetition
        self._grouping = grouping
        codes = grouping.codes(held_out.codes)
        self._own = [np.flatnonzero(codes == group) for group in range(len(grouping.labels))]
        self._by_factor = {
            factor: [
                np.flatnonzero(held_out.codes[factor] == code)
                for code in range(len(FACTORS[factor]))
            ]
            for factor in grouping.factors
        }

    def draw(self, shares: Values, rng: np.random.Generator) -> SimulatedCollection:
        """Return a collection with about these shares (groups,)."""
        counts = rng.multinomial(self._faces, self._possible(shares))
        smaller = max(self._faces / MOST_FACES, 1)
        firsts: list[Codes] = []
        seconds: list[Codes] = []
        weights: list[Values] = []
        for group in np.flatnonzero(counts):
            number = int(np.ceil(counts[group] / self._repetition[group] / smaller))
            first, second = self._draw_faces(int(group), number, rng)
            firsts.append(first)
            seconds.append(second)
            weights.append(np.full(number, counts[group] / number))
        return SimulatedCollection(
            self._put_together(np.concatenate(firsts), np.concatenate(seconds)),
            np.concatenate(weights),
            counts / self._faces,
        )

    def _possible(self, shares: Values) -> Values:
        """Return shares without groups of which no answers can be drawn."""
        seen = [
            len(own) > 0 or all(len(faces) > 0 for faces in self._of_labels(group))
            for group, own in enumerate(self._own)
        ]
        kept = np.where(seen, np.clip(shares, 0, None), 0.0)
        possible: Values = kept / kept.sum()
        return possible

    def _of_labels(self, group: int) -> list[Codes]:
        """Return the held-out faces that share a group's label of each factor."""
        factors = self._grouping.factors
        if len(factors) == 1:
            return [self._by_factor[factors[0]][group]]
        first, second = divmod(group, len(FACTORS[factors[1]]))
        return [self._by_factor[factors[0]][first], self._by_factor[factors[1]][second]]

    def _draw_faces(self, group: int, number: int, rng: np.random.Generator) -> tuple[Codes, Codes]:
        own = self._own[group]
        if len(self._grouping.factors) == 1:
            drawn = self._choose(own, number, rng)
            return drawn, drawn
        first, second = (self._choose(one, number, rng) for one in self._of_labels(group))
        if not len(own):
            return first, second
        whole = self._choose(own, number, rng, rng.dirichlet(np.ones(len(own))))
        as_one = rng.random(number) < rng.beta(len(own), PSEUDO_FACES)
        return np.where(as_one, whole, first), np.where(as_one, whole, second)

    def _choose(
        self, faces: Codes, number: int, rng: np.random.Generator, weights: Values | None = None
    ) -> Codes:
        chances = self._chances[faces] * (1 if weights is None else weights)
        total = chances.sum()
        return rng.choice(faces, number, p=chances / total if total > 0 else None)

    def _put_together(self, firsts: Codes, seconds: Codes) -> Answers:
        second = COLUMNS[self._grouping.factors[-1]]
        found = self._held_out.answers
        columns = {
            name: None
            if (column := getattr(found, name)) is None
            else column[seconds if name == second else firsts]
            for name in COLUMNS.values()
        }
        return Answers(**columns)
