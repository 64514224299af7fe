"""Show labels to review on a terminal, as JSON and as a CSV file."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any, TextIO

from rich.table import Table

from facetag.results.name_escapes import escape_cell, escape_name
from facetag_trainer.audit.label_audit import FEWEST, DoubtedLabel, LabelAudit


def audit_table(audit: LabelAudit) -> Table:
    """Return how many labels of each group are doubted."""
    table = Table()
    for title in ("head", "label", "images", "to review", "share", "read mostly as"):
        table.add_column(title, justify="right" if title in ("images", "share") else "left")
    for group in audit.groups:
        table.add_row(
            group.head,
            group.label,
            f"{group.images:,}",
            f"{group.doubted:,}",
            f"{group.doubted / group.images:.1%}",
            group.most_read,
        )
    return table


def describe_images(audit: LabelAudit, facts: Mapping[str, Any]) -> Iterator[str]:
    """Say of `facts`' images how many count, and which heads have too few labels."""
    yield (
        f"Images with valid labels: {facts['images']:,}; no face was found in "
        f"{facts['without_face']:,}. Images left out: {facts['invalid']:,}."
    )
    for head, labels in audit.too_few.items():
        yield f"Labels of {head}: {labels}. An audit takes {FEWEST} at least."


def audit_json(audit: LabelAudit, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the audit as one JSON object; `facts` say what was audited."""
    return {
        **facts,
        "groups": [asdict(group) for group in audit.groups],
        "review": [asdict(one) for one in audit.doubted],
        "too_few": dict(audit.too_few),
    }


def write_review(audit: LabelAudit, file: TextIO) -> None:
    """Write one row per label to review; no name is a formula to a spreadsheet."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(field.name for field in fields(DoubtedLabel))
    for one in audit.doubted:
        cells = asdict(one) | {"image": escape_cell(escape_name(one.image))}
        writer.writerow(cells.values())
