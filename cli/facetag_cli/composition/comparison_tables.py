"""Show how two collections differ, or one and a reference, on a terminal and as JSON."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from facetag.quantification.comparison import ShareDifference
from facetag.quantification.composition_estimate import CompositionEstimate
from facetag.quantification.intervals import Shares
from facetag.quantification.shares_json import too_few

UNCERTAIN = "uncertain"
Reference = Mapping[tuple[str, str], float]


def difference_table(
    difference: ShareDifference, estimates: Sequence[CompositionEstimate]
) -> Table:
    """Return one grouping's table of two collections."""
    shares = [_shares_of(estimate, difference) for estimate in estimates]
    doubts = [estimate.doubts(difference.grouping) for estimate in estimates]
    titles = ("in A", "in B", "A share", "B share")
    table = _table(difference, titles, ("B - A", "95% interval"), "surely")
    for place, (label, verdict) in enumerate(_verdicts(difference, ("more in B", "fewer in B"))):
        table.add_row(
            label,
            *(f"{_faces(one, place):,}" for one in shares),
            *(
                _estimated(one, place, doubtful=doubtful)
                for one, doubtful in zip(shares, doubts, strict=True)
            ),
            *_cells(difference, place, shares),
            verdict,
        )
    return table


def reference_table(
    difference: ShareDifference, estimate: CompositionEstimate, reference: Reference
) -> Table:
    """Return one grouping's table of a collection and a reference."""
    shares = _shares_of(estimate, difference)
    titles = ("faces", "share", "reference")
    table = _table(difference, titles, ("difference", "95% interval"), "represented")
    words = ("surely over", "surely under")
    for place, (label, verdict) in enumerate(_verdicts(difference, words)):
        if math.isnan(difference.values[place]):
            continue
        table.add_row(
            label,
            f"{_faces(shares, place):,}",
            _estimated(shares, place, doubtful=difference.doubtful),
            f"{reference[difference.grouping.name, label]:.1%}",
            *_cells(difference, place, [shares]),
            verdict,
        )
    return table


def differences_json(
    differences: Sequence[ShareDifference], estimates: Sequence[CompositionEstimate]
) -> dict[str, Any]:
    """Return differences by grouping and group, each with its interval and whether it is sure.

    Counted faces and estimated shares are lists, with one value for each collection.
    """
    return {
        each.grouping.name: {
            label: {
                "difference": round(float(each.values[place]), 4),
                "interval": [round(float(end), 4) for end in each.interval[:, place]],
                "sure": each.sure[place],
                "doubtful": each.doubtful,
                **_collections_json([_shares_of(one, each) for one in estimates], place),
            }
            for place, label in enumerate(each.grouping.labels)
            if not math.isnan(each.values[place])
        }
        for each in differences
    }


def _collections_json(shares: Sequence[Shares], place: int) -> dict[str, Any]:
    return {
        "counted_faces": [_faces(one, place) for one in shares],
        "estimated": [round(float(one.estimated[place]), 4) for one in shares],
        "too_few": any(too_few(one, place, one.faces) for one in shares),
    }


def _faces(shares: Shares, place: int) -> int:
    return round(float(shares.counted[place]) * shares.faces)


def _shares_of(estimate: CompositionEstimate, difference: ShareDifference) -> Shares:
    return next(one for one in estimate.shares if one.grouping == difference.grouping)


def _table(
    difference: ShareDifference, titles: Sequence[str], figures: Sequence[str], last: str
) -> Table:
    """Return a table with these columns; `figures` are left out where none could be stated."""
    table = Table(
        title=f"{difference.grouping.name.capitalize()}: faces, and estimated shares",
        title_justify="left",
    )
    table.add_column("")
    for title in (*titles, *(() if difference.doubtful else figures), last):
        # Narrow terminals break cells at spaces, but no word is cut off.
        width = max(len(word) for word in title.split())
        if difference.doubtful and (title == last or title.endswith("share")):
            width = max(width, len(UNCERTAIN))
        table.add_column(title, justify="right", min_width=width)
    return table


def _verdicts(difference: ShareDifference, words: tuple[str, str]) -> list[tuple[str, str]]:
    more, fewer = words
    verdicts = [
        UNCERTAIN if difference.doubtful else "" if not sure else more if value > 0 else fewer
        for value, sure in zip(difference.values, difference.sure, strict=True)
    ]
    return list(zip(difference.grouping.labels, verdicts, strict=True))


def _estimated(shares: Shares, place: int, *, doubtful: bool) -> str:
    if doubtful:
        return UNCERTAIN
    few = too_few(shares, place, shares.faces)
    return "too few" if few else f"{shares.estimated[place]:.1%}"


def _cells(difference: ShareDifference, place: int, shares: Sequence[Shares]) -> tuple[str, ...]:
    """Return the difference and its interval; of too few faces only the latter."""
    if difference.doubtful:
        return ()
    low, high = difference.interval[:, place]
    if any(too_few(one, place, one.faces) for one in shares):
        return "", f"{low:+.0%} to {high:+.0%}"
    return f"{difference.values[place]:+.1%}", f"{low:+.1%} to {high:+.1%}"
