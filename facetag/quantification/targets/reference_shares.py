"""Read the shares of a population or a target, such as a census's, from a CSV file."""

import csv
from collections.abc import Mapping

from facetag.errors import RequirementInvalid
from facetag.quantification.groupings import GROUPINGS
from facetag.quantification.targets.requirements import find_group

COLUMNS = ("group", "share")
DELIMITERS = (";", "\t", ",")
ROUNDING = 0.02
"""Shares of all groups may differ from 1 in sum by so much: tables round them."""
Reference = dict[tuple[str, str], float]


def read_reference(content: bytes) -> Reference:
    """Return shares by the names of grouping and group, from the content of a CSV file.

    The file has the columns `group` (as in requirements: `female`, `age 60+`, `female, 60+`) and
    `share` (0 to 1, or a percentage); others are notes. Semicolons or tabs may separate columns;
    a share may then have a decimal comma. Raises RequirementInvalid, with the line.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequirementInvalid(
            "The reference is not text in UTF-8: save it as CSV in UTF-8."
        ) from error
    lines = text.splitlines()
    delimiter = next((one for one in DELIMITERS if lines and one in lines[0]), ",")
    rows = csv.reader(lines, delimiter=delimiter)
    try:
        names = [name.strip().lower() for name in next(rows, [])]
    except csv.Error as error:
        raise RequirementInvalid(f"The reference is not a CSV file: {error}.") from error
    if missing := [name for name in COLUMNS if name not in names]:
        raise RequirementInvalid(
            f"The reference has no column {missing[0]!r}: its first line names the columns "
            "`group` and `share`."
        )
    if twice := [name for name in COLUMNS if names.count(name) > 1]:
        raise RequirementInvalid(f"The reference has two columns {twice[0]!r}: leave one of them.")
    found: Reference = {}
    for row in rows:
        cells = dict(zip(names, row, strict=False))
        if not any(cells.values()):
            continue
        try:
            _add(found, cells, decimal_comma=delimiter != ",")
        except RequirementInvalid as error:
            raise RequirementInvalid(f"Line {rows.line_num} of the reference: {error}") from error
    if not found:
        raise RequirementInvalid("The reference states no share: give one group a line.")
    _check_sums(found)
    return found


def _add(found: Reference, cells: Mapping[str, str], *, decimal_comma: bool) -> None:
    group = find_group(cells.get("group", ""))
    if group in found:
        raise RequirementInvalid(f"{group[1]} already has a share: give each group one line.")
    share = cells.get("share", "")
    found[group] = _share(share.replace(",", ".") if decimal_comma else share)


def _share(text: str) -> float:
    number = text.strip()
    try:
        value = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise RequirementInvalid(f"{text!r} is not a share: write 0.6 or 60%.")
    return value


def _check_sums(found: Reference) -> None:
    for grouping in GROUPINGS:
        shares = [
            found[grouping.name, one] for one in grouping.labels if (grouping.name, one) in found
        ]
        whole = len(shares) == len(grouping.labels)
        total = sum(shares)
        if total > 1 + ROUNDING or (whole and total < 1 - ROUNDING):
            raise RequirementInvalid(
                f"The reference's shares of {grouping.name} are {total:.4g} in sum, not 1: "
                "correct them."
            )
