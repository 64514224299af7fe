"""Keep a bundle's answers about held-out faces beside their labels: the known errors."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from facetag.errors import QuantificationUnavailable
from facetag.heads import HELD_OUT_ANSWERS
from facetag.quantification.groupings import FINE_AGE, age_codes, codes_of_ages

Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Answers:
    """Labels of n faces as results state them; a head that was not predicted is None."""

    female: Values | None
    """Calibrated probability of the label female, (n,)."""
    race: Values | None
    """Calibrated probabilities, (n, races)."""
    age: Values | None
    """Apparent age in years, (n,)."""

    def __len__(self) -> int:
        return next(len(one) for one in (self.female, self.race, self.age) if one is not None)

    def take(self, index: Codes) -> "Answers":
        """Return the answers about some of the faces, in this order."""
        return Answers(*(None if one is None else one[index] for one in self._columns))

    @property
    def factors(self) -> tuple[str, ...]:
        """Return the factors that these answers tell of."""
        pairs = zip(("gender", "race", "age"), self._columns, strict=True)
        return tuple(name for name, column in pairs if column is not None)

    def counted_codes(self) -> dict[str, Codes]:
        """Return the likeliest label (n,) of each factor: what counting counts."""
        codes: dict[str, Codes] = {}
        if self.female is not None:
            codes["gender"] = (self.female >= 0.5).astype(np.intp)
        if self.race is not None:
            codes["race"] = self.race.argmax(axis=1)
        if self.age is not None:
            codes["age"] = age_codes(self.age)
        return codes

    @property
    def _columns(self) -> tuple[Values | None, Values | None, Values | None]:
        return (self.female, self.race, self.age)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Held-out faces that the bundle was not fitted on: answers, and each factor's label (n,).

    Ages have a second one, the fine age.
    """

    answers: Answers
    codes: Mapping[str, Codes]

    def __len__(self) -> int:
        return len(self.answers)

    def take(self, index: Codes) -> "HeldOut":
        """Return some of the faces, in this order; an index may occur more than once."""
        return HeldOut(
            self.answers.take(index), {name: codes[index] for name, codes in self.codes.items()}
        )

    def only(self, factors: Collection[str]) -> "HeldOut":
        """Return what is known of some factors alone."""
        return HeldOut(
            Answers(
                self.answers.female if "gender" in factors else None,
                self.answers.race if "race" in factors else None,
                self.answers.age if "age" in factors else None,
            ),
            {
                name: codes
                for name, codes in self.codes.items()
                if ("age" if name == FINE_AGE else name) in factors
            },
        )

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> "HeldOut":
        """Return the held-out faces of a bundle's manifest.

        Raises QuantificationUnavailable for a bundle that keeps none.
        """
        fields = manifest.get(HELD_OUT_ANSWERS)
        if not fields:
            raise QuantificationUnavailable(
                f"The bundle {manifest.get('version')} keeps no answers about held-out images, so "
                "shares cannot be corrected for its errors: run `facetag calibrate` on it."
            )
        answers, labels = fields["answers"], fields["labels"]
        columns = [
            np.asarray(answers[name], np.float64) if name in answers else None
            for name in ("female", "race", "age")
        ]
        codes: dict[str, Codes] = {}
        if "gender" in labels:
            codes["gender"] = np.asarray(labels["gender"], np.intp)
        if "race" in labels:
            codes["race"] = np.asarray(labels["race"], np.intp)
        if "age" in labels:
            codes |= codes_of_ages(np.asarray(labels["age"], np.float64))
        return cls(Answers(*columns), codes)


def to_manifest(
    labels: Mapping[str, npt.NDArray[Any]], outputs: Mapping[str, npt.NDArray[Any]]
) -> dict[str, Any]:
    """Return the manifest's field from labels (n,) and calibrated outputs (n, units) a head.

    Faces with a missing label are left out. Probabilities keep four decimals, as in results.
    """
    known = ~np.any([np.isnan(values) for values in labels.values()], axis=0)
    answers: dict[str, Any] = {}
    if "gender" in outputs:
        answers["female"] = np.round(outputs["gender"][known, 0].astype(float), 4).tolist()
    if "race" in outputs:
        answers["race"] = np.round(outputs["race"][known].astype(float), 4).tolist()
    if "age" in outputs:
        answers["age"] = np.round(outputs["age"][known, 0].astype(float), 1).tolist()
    return {
        "answers": answers,
        "labels": {name: values[known].astype(int).tolist() for name, values in labels.items()},
    }
