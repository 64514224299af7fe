"""Name the groupings whose shares are estimated: single heads, bands of age, crossings."""

from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facetag.age_bands import AGE_LABELS, BAND_STARTS
from facetag.heads import GENDER, RACE

Ages = npt.NDArray[np.float64]

FACTORS: Mapping[str, tuple[str, ...]] = {
    "gender": GENDER.labels,
    "race": RACE.labels,
    "age": AGE_LABELS,
}
"""The factors of groupings, each with its labels in order."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """A partition of faces by one factor, or by the crossing of two."""

    factors: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the name in tables and JSON, such as `gender by age`."""
        return " by ".join(self.factors)

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the groups' names; those of a crossing run through the second factor first."""
        first, *others = (FACTORS[name] for name in self.factors)
        if not others:
            return first
        return tuple(f"{one}, {two}" for one in first for two in others[0])

    def codes(self, codes: Mapping[str, npt.NDArray[np.intp]]) -> npt.NDArray[np.intp]:
        """Return each face's group (n,), from its label of every factor (n,)."""
        first, *others = self.factors
        if not others:
            return codes[first]
        return codes[first] * len(FACTORS[others[0]]) + codes[others[0]]

    def allow(self, known: Mapping[str, npt.NDArray[np.intp]]) -> npt.NDArray[np.bool_]:
        """Return the groups (n, groups) that known labels (n,) by factor allow; -1 allows any."""
        allowed = np.ones((len(known[self.factors[0]]), 1), bool)
        for factor in self.factors:
            label, codes = np.arange(len(FACTORS[factor])), known[factor][:, None]
            one = (codes == label) | (codes < 0)
            allowed = (allowed[:, :, None] & one[:, None, :]).reshape(len(one), -1)
        return allowed


GROUPINGS: Sequence[Grouping] = (
    Grouping(("gender",)),
    Grouping(("race",)),
    Grouping(("age",)),
    Grouping(("gender", "age")),
    Grouping(("gender", "race")),
    Grouping(("race", "age")),
)


FINE_AGE = "fine age"
"""The factor of a few years each. Shares are not stated by it: they only tell how ages are spread
within the bands."""
FINE_STARTS = (
    *(0, 2, 4, 6, 8, 10, 13, 15, 17, 20, 23, 26, 29, 32, 36),
    *(40, 44, 48, 52, 56, 60, 65, 70, 75, 80),
)
"""First year of each fine age. Every band begins with one."""
BAND_OF_FINE = np.array([bisect(BAND_STARTS[1:], start) for start in FINE_STARTS])


def age_codes(ages: Ages) -> npt.NDArray[np.intp]:
    """Return the band (n,) of ages in years (n,)."""
    return np.digitize(ages, BAND_STARTS[1:])


def codes_of_ages(ages: Ages) -> dict[str, npt.NDArray[np.intp]]:
    """Return the codes (n,) of ages in years (n,), of both factors of age."""
    return {"age": age_codes(ages), FINE_AGE: np.digitize(ages, FINE_STARTS[1:])}
