"""Write estimated shares as JSON, for files, the report and the page."""

from collections.abc import Mapping, Sequence
from typing import Any

from facetag.quantification.collection import Collection
from facetag.quantification.composition_estimate import CompositionEstimate
from facetag.quantification.domain_shift import Shift
from facetag.quantification.intervals import Shares
from facetag.quantification.targets.requirements import Requirement, RequirementVerdict

FEWEST_FACES = 30
"""No share is stated of groups with fewer counted or estimated faces."""


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


def too_few(shares: Shares, place: int, faces: int) -> bool:
    """Tell whether a group has too few faces for a share to be stated."""
    return faces * float(max(shares.counted[place], shares.estimated[place])) < FEWEST_FACES


def shift_lines(shifts: Sequence[Shift]) -> list[str]:
    """Return a warning for each factor whose estimates are doubtful."""
    return [_shift_line(shift) for shift in shifts if shift.doubtful]


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


def _shift_line(shift: Shift) -> str:
    distance = f"distance {shift.distance:.2f}, at most {shift.critical:.2f} by chance"
    if shift.factor == "age":
        return (
            "Estimates by age are uncertain: within the bands, ages are spread otherwise than in "
            f"the held-out photos ({distance}), as among the children of a school."
        )
    return (
        f"Estimates by {shift.factor} are uncertain: the network is not as sure of these photos as "
        f"of its held-out ones ({distance}). They may be blurred, dark or of another kind."
    )


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
