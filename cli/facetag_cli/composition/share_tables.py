"""Show estimated shares as tables on a terminal."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from facetag.quantification.collection import Collection
from facetag.quantification.intervals import Shares
from facetag.quantification.shares_json import too_few
from facetag.quantification.targets.requirements import RequirementVerdict

WORDS = {
    RequirementVerdict.HOLDS: "surely holds",
    RequirementVerdict.FAILS: "surely fails",
    RequirementVerdict.OPEN: "the photos cannot tell",
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
