"""Read the shares of a population or a target, such as a census's, from a CSV file."""

import csv
from collections.abc import Iterable

from facetag.errors import RequirementInvalid
from facetag.quantification.requirements import find_group

COLUMNS = ("group", "share")


def read_reference(lines: Iterable[str]) -> dict[tuple[str, str], float]:
    """Return shares by the names of grouping and group, from lines of a CSV file.

    The file has the columns `group` (as in requirements: `female`, `age 60+`, `female, 60+`) and
    `share` (0 to 1, or a percentage); others are notes. Raises RequirementInvalid, with the line.
    """
    rows = csv.DictReader(lines)
    if missing := [name for name in COLUMNS if name not in (rows.fieldnames or ())]:
        raise RequirementInvalid(
            f"The reference has no column {missing[0]!r}: its first line names the columns "
            "`group` and `share`."
        )
    found = {}
    for row in rows:
        try:
            found[find_group(row["group"] or "")] = _share(row["share"] or "")
        except (RequirementInvalid, ValueError) as error:
            raise RequirementInvalid(f"Line {rows.line_num} of the reference: {error}") from error
    if not found:
        raise RequirementInvalid("The reference states no share: give one group a line.")
    return found


def _share(text: str) -> float:
    number = text.strip()
    value = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    if not 0 <= value <= 1:
        raise ValueError(f"{text} is not a share: give 0 to 1, or a percentage.")
    return value
