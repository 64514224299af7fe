"""Render bundles: the list, one bundle in full, and the verdict on a candidate."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from facetag.db.tables import Model
from facetag.results.name_escapes import escape_controls

SHOWN = (("age", "rmse"), ("gender", "accuracy"), ("race", "accuracy"))
PARTS = ("test", "holdout", "validation")
"""Kinds of a manifest's metrics, the best first."""
SERVED = {
    "both": "photos like the earlier and the new ones",
    "new": "photos like the new ones",
    "earlier": "photos like the earlier ones",
}
"""The photos that a bundle is to label, by the value of `facetag retrain --for`."""


def describe_rows(rows: Sequence[Model]) -> list[dict[str, Any]]:
    """Return the rows of the list, ready for JSON."""
    return [_describe(row) for row in rows]


def describe_bundle(row: Model) -> dict[str, Any]:
    """Return all fields of a bundle, ready for JSON."""
    return {
        **_describe(row),
        "promoted_at": row.promoted_at and row.promoted_at.isoformat(),
        "weights_sha256": row.manifest.get("weights_sha256"),
        "files": row.files,
        "shards": row.manifest.get("shards", []),
        "metrics": row.manifest.get("metrics", {}),
        "verdict": row.verdict,
    }


def render_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the list as a table."""
    names = ("version", "state", "parent", "created", "age RMSE", "gender", "race", "measured")
    grid = Table(*names, "domains: age RMSE, gender, race")
    for row in rows:
        grid.add_row(
            row["version"],
            row["state"],
            row["parent"] or "",
            row["created_at"][:16],
            *("" if value is None else f"{value:.3f}" for value in row["figures"].values()),
            row["measured_on"] or "",
            "\n".join(_name_domains(row["domains"])),
        )
    return _print(grid) if rows else "No bundle is known yet: a worker registers its own."


def render_bundle(found: Mapping[str, Any]) -> str:
    """Return one bundle as lines."""
    figures = ", ".join(
        f"{name} {value:.3f}" for name, value in found["figures"].items() if value is not None
    )
    lines = [
        f"{found['version']}: {found['state']}",
        f"created {found['created_at'][:16]}, parent {found['parent'] or 'none'}",
        f"weights' SHA-256 {found['weights_sha256']}",
        f"on its {found['measured_on']}: {figures}" if figures else "not measured",
        *(
            f"on the holdout of {words}, its parent {_figures(figures['before'])}"
            for words, figures in zip(
                _name_domains(found["domains"]), found["domains"].values(), strict=True
            )
        ),
        *(f"shard {shard['name']}: SHA-256 {shard['sha256']}" for shard in found["shards"]),
    ]
    if found["files"] is None:
        lines.append("not in object storage: it lies on a worker's disk alone")
    verdict = found["verdict"]
    if verdict is not None:
        lines += render_verdict("It", verdict)
    return escape_controls("\n".join(lines))


def render_verdict(name: str, verdict: Mapping[str, Any]) -> list[str]:
    """Return the verdict on the bundle `name` as lines: the result, its table, and its notes.

    A verdict from before there were tables has a reason per measure.
    """
    result = "passes" if verdict["holds"] else "fails"
    served = f" for {SERVED[verdict['for']]}" if "for" in verdict else ""
    table = verdict.get("table", [])
    notes = verdict["notes"] if table else verdict["reasons"]
    return [
        f"{name} {result} the comparison with {verdict['against']}{served}:",
        *(_print(_draw_verdict(table)).splitlines() if table else ()),
        *(escape_controls(f"  {note}") for note in notes),
    ]


def _draw_verdict(rows: Sequence[Mapping[str, Any]]) -> Table:
    grid = Table("images", "measure", "group", "n", "champion", "candidate", "change (95%)", "")
    for row in rows:
        interval, gain = row["interval"], row["improvement"]
        if interval is not None and row["unit"]:
            # Years are errors: fewer are better, so the change has the other sign.
            interval, gain = [-interval[1], -interval[0]], -gain
        change = f"{gain:+z.3f}" + (
            "" if interval is None else f" ({interval[0]:+z.3f} to {interval[1]:+z.3f})"
        )
        chosen = f"{row['group']}: {row['chosen_as']}" if row["chosen_as"] else row["group"]
        figures = (f"{row[name]:.3f}" for name in ("champion", "candidate"))
        result = f"fails, {row['fails']}" if row["fails"] else "passes"
        grid.add_row(row["data"], row["measure"], chosen, str(row["n"]), *figures, change, result)
    return grid


def _describe(row: Model) -> dict[str, Any]:
    metrics = row.manifest.get("metrics", {})
    part = next((name for name in PARTS if name in metrics), None)
    table = {} if part is None else metrics[part].get("table", metrics[part])
    return {
        "version": row.version,
        "state": row.state,
        "parent": row.manifest.get("parent"),
        "created_at": row.created_at.isoformat(),
        "measured_on": part,
        "domains": row.manifest.get("domains", {}),
        "figures": {f"{head} {name}": table.get(head, {}).get(name) for head, name in SHOWN},
    }


def _name_domains(domains: Mapping[str, Any]) -> list[str]:
    """Return a line per domain with the figures of the bundle on its holdout."""
    return [f"{name}: {_figures(row['after'])}" for name, row in domains.items()]


def _figures(table: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{table[head][name]:.3f}" for head, name in SHOWN if name in table.get(head, {})
    )


def _print(grid: Table) -> str:
    # A manifest's words are its author's: they are no markup, and what steers a terminal, as
    # styles do, is escaped.
    console = Console(width=140, highlight=False, markup=False, color_system=None)
    with console.capture() as capture:
        console.print(grid)
    return escape_controls(capture.get().rstrip())
