"""Parse and judge requirements on a collection, such as `female>=0.4` or `age 60+ >= 0.1`."""

import re
from dataclasses import dataclass
from enum import Enum

from facetag.errors import RequirementInvalid
from facetag.quantification.groupings import FACTORS, GROUPINGS
from facetag.quantification.intervals import Shares

_FORM = re.compile(r"^(?P<group>.+?)\s*(?P<sign>>=|<=|≥|≤)\s*(?P<bound>[0-9.]+)\s*(?P<percent>%?)$")
_FACTOR = re.compile(rf"^({'|'.join(FACTORS)}) ")


class RequirementVerdict(Enum):
    """Whether a requirement holds, with 95% confidence."""

    HOLDS = "holds"
    FAILS = "fails"
    OPEN = "cannot tell"


@dataclass(frozen=True, slots=True)
class Requirement:
    """A bound on the share of one group."""

    grouping: str
    label: str
    at_least: bool
    bound: float
    """A share, 0 to 1."""

    @classmethod
    def parse(cls, text: str) -> "Requirement":
        """Return the requirement that is written as `GROUP>=SHARE` or `GROUP<=SHARE`.

        A group is a label (`female`), a band (`age 60+`) or a crossing (`female, 60+`). Raises
        RequirementInvalid, with the groups that there are.
        """
        found = _FORM.match(text.strip())
        if found is None:
            raise RequirementInvalid(
                f"{text!r} is not a requirement: write GROUP>=SHARE, as in 'female>=0.4' or "
                "'age 60+ >= 0.1'."
            )
        try:
            bound = float(found["bound"]) / (100 if found["percent"] else 1)
        except ValueError:
            bound = -1.0
        if not 0 <= bound <= 1:
            raise RequirementInvalid(f"{text!r} is not a share: give 0 to 1, or a percentage.")
        grouping, label = find_group(found["group"])
        return cls(grouping, label, found["sign"] in (">=", "≥"), bound)

    def __str__(self) -> str:
        return f"{self.label} {'>=' if self.at_least else '<='} {self.bound:.4g}"

    def judge(self, shares: Shares) -> RequirementVerdict:
        """Return what the interval of the group's share says."""
        place = shares.grouping.labels.index(self.label)
        low, high = shares.interval()[:, place]
        if not self.at_least:
            low, high, bound = -high, -low, -self.bound
        else:
            bound = self.bound
        if low >= bound:
            return RequirementVerdict.HOLDS
        return RequirementVerdict.FAILS if high < bound else RequirementVerdict.OPEN


def find_group(text: str) -> tuple[str, str]:
    """Return the names of grouping and group of a label, a band or a crossing.

    Raises RequirementInvalid, with the groups that there are.
    """
    wanted = _parts(text)
    for grouping in GROUPINGS:
        for label in grouping.labels:
            if wanted == _parts(label):
                return grouping.name, label
    known = "; ".join(", ".join(each.labels) for each in GROUPINGS if len(each.factors) == 1)
    raise RequirementInvalid(
        f"{text!r} is not a group. Groups are {known}, and crossings such as 'female, 60+'."
    )


def _parts(text: str) -> list[str]:
    """Return the labels that a group's name crosses, without the names of factors, in one order."""
    plain = re.sub(r"\s+", " ", text.replace("–", "-").lower())
    return sorted(_FACTOR.sub("", part.strip()) for part in plain.split(","))
