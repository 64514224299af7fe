"""Shows estimated shares as tables on a terminal and as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from facetag.quantification.domain_shift import Shift
from facetag.quantification.intervals import Shares
from facetag.quantification.requirements import Requirement, RequirementVerdict

FEWEST_FACES = 30
"""Of groups with fewer counted or estimated faces, no share is stated."""
WORDS = {
    RequirementVerdict.HOLDS: "surely holds",
    RequirementVerdict.FAILS: "surely fails",
    RequirementVerdict.OPEN: "the photos cannot tell",
}


def share_table(shares: Shares, faces: int) -> Table:
    """Return one grouping's table: counted faces and share, estimated share with its interval."""
    table = Table(title=shares.grouping.name.capitalize(), title_justify="left")
    for title in ("", "counted", "share", "estimated", "95% interval"):
        table.add_column(title, justify="left" if not title else "right")
    low, high = shares.interval()
    for place, label in enumerate(shares.grouping.labels):
        counted = shares.counted[place]
        table.add_row(
            label,
            f"{round(counted * faces):,}",
            f"{counted:.1%}",
            *(
                ("too few faces", f"up to {high[place]:.0%}")
                if too_few(shares, place, faces)
                else (f"{shares.estimated[place]:.1%}", f"{low[place]:.1%} to {high[place]:.1%}")
            ),
        )
    return table


def too_few(shares: Shares, place: int, faces: int) -> bool:
    """Tell whether a group has too few faces for a share to be stated."""
    return faces * float(max(shares.counted[place], shares.estimated[place])) < FEWEST_FACES


def shift_lines(shifts: Sequence[Shift]) -> list[str]:
    """Return a warning for each factor whose estimates are doubtful."""
    return [
        f"Estimates by {shift.factor} are doubtful: the network is not as sure of these photos as "
        f"of its held-out ones (distance {shift.distance:.2f}, at most {shift.critical:.2f} by "
        "chance). They may be blurred, dark or of another kind."
        for shift in shifts
        if shift.doubtful
    ]


def shares_json(
    shares: Sequence[Shares],
    shifts: Sequence[Shift],
    verdicts: Sequence[tuple[Requirement, RequirementVerdict]],
    facts: Mapping[str, Any],
    faces: int,
) -> dict[str, Any]:
    """Return everything as one JSON object."""
    return {
        **facts,
        "doubtful": [shift.factor for shift in shifts if shift.doubtful],
        "shares": {each.grouping.name: _grouping_json(each, faces) for each in shares},
        "requirements": [
            {"requirement": str(requirement), "verdict": verdict.value}
            for requirement, verdict in verdicts
        ],
    }


def _grouping_json(shares: Shares, faces: int) -> dict[str, Any]:
    intervals = {"estimated": shares.interval(), "counted": shares.interval(counted=True)}
    return {
        label: {
            "counted": round(float(shares.counted[place]), 4),
            "counted_faces": round(float(shares.counted[place]) * faces),
            "counted_interval": _ends(intervals["counted"][:, place]),
            "estimated": round(float(shares.estimated[place]), 4),
            "interval": _ends(intervals["estimated"][:, place]),
            "too_few": too_few(shares, place, faces),
        }
        for place, label in enumerate(shares.grouping.labels)
    }


def _ends(pair: Any) -> list[float]:
    return [round(float(value), 4) for value in pair]
