"""Show estimated shares as tables on a terminal and as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from facetag.quantification.collection import Collection
from facetag.quantification.composition_estimate import CompositionEstimate
from facetag.quantification.domain_shift import Shift
from facetag.quantification.intervals import Shares
from facetag.quantification.requirements import Requirement, RequirementVerdict

FEWEST_FACES = 30
"""No share is stated of groups with fewer counted or estimated faces."""
WORDS = {
    RequirementVerdict.HOLDS: "surely holds",
    RequirementVerdict.FAILS: "surely fails",
    RequirementVerdict.OPEN: "the photos cannot tell",
}


def collection_facts(collection: Collection) -> dict[str, Any]:
    """Return what is known of a collection before its shares."""
    return {
        "model": collection.version,
        "photos": collection.photos,
        "faces": collection.faces,
        "duplicates": collection.duplicates,
        "uncertain_faces": collection.uncertain,
        "possible_faces": collection.possible,
    }


def describe_collection(collection: Collection) -> str:
    """Return one sentence on a collection, for a terminal."""
    faces = f"{collection.faces:,} face{'' if collection.faces == 1 else 's'}"
    photos = f"{collection.photos:,} distinct photo{'' if collection.photos == 1 else 's'}"
    return (
        f"{faces} in {photos}, {collection.uncertain:,} with an uncertain label. "
        f"{collection.possible:,} more may be no face. Apparent labels, by the network "
        f"{collection.version}."
    )


def share_table(
    shares: Shares,
    faces: int,
    *,
    doubtful: bool = False,
    sampled: Mapping[str, Any] | None = None,
) -> Table:
    """Return one grouping's table: counted faces and share, estimated share with its interval.

    Shares that are doubtful, or of too few faces, are stated in words instead. `sampled` are the
    shares of a reviewed sample by label, which get columns of their own.
    """
    table = Table(title=shares.grouping.name.capitalize(), title_justify="left")
    for title in ("", "counted", "share", "estimated", "95% interval"):
        table.add_column(title, justify="left" if not title else "right")
    for title in ("reviewed", "95% interval") if sampled else ():
        table.add_column(title, justify="right")
    low, high = shares.interval()
    for place, label in enumerate(shares.grouping.labels):
        counted = shares.counted[place]
        if doubtful:
            estimated = ("uncertain", "")
        elif too_few(shares, place, faces):
            estimated = ("too few faces", f"up to {high[place]:.0%}")
        else:
            estimated = (
                f"{shares.estimated[place]:.1%}",
                f"{low[place]:.1%} to {high[place]:.1%}",
            )
        seen = _sampled_cells(sampled[label]) if sampled else ()
        table.add_row(label, f"{round(counted * faces):,}", f"{counted:.1%}", *estimated, *seen)
    return table


def _sampled_cells(one: Mapping[str, Any]) -> tuple[str, str]:
    low, high = one["interval"]
    return f"{one['share']:.1%}", f"{low:.1%} to {high:.1%}"


def too_few(shares: Shares, place: int, faces: int) -> bool:
    """Tell whether a group has too few faces for a share to be stated."""
    return faces * float(max(shares.counted[place], shares.estimated[place])) < FEWEST_FACES


def shift_lines(shifts: Sequence[Shift]) -> list[str]:
    """Return a warning for each factor whose estimates are doubtful."""
    return [
        f"Estimates by {shift.factor} are uncertain: the network is not as sure of these photos as "
        f"of its held-out ones (distance {shift.distance:.2f}, at most {shift.critical:.2f} by "
        "chance). They may be blurred, dark or of another kind."
        for shift in shifts
        if shift.doubtful
    ]


def shares_json(
    estimate: CompositionEstimate,
    verdicts: Sequence[tuple[Requirement, RequirementVerdict]],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Return everything as one JSON object; `facts` are those of `collection_facts`."""
    return {
        **facts,
        "doubtful": sorted(estimate.doubtful),
        "warnings": shift_lines(estimate.shifts),
        "shares": {
            each.grouping.name: _grouping_json(each, facts["faces"]) for each in estimate.shares
        },
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
