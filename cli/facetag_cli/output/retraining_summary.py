"""Render queued retrainings: their state and progress, and their log."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from facetag.bundles.bundle_store import Shelf
from facetag.db.engine import transaction
from facetag.db.tables import Retraining, RetrainingLine, RetrainingState
from facetag.retraining.log_lines import read_lines
from facetag.retraining.retraining_requests import find_retraining, name_retraining, tell_state
from facetag_cli.output.bundle_tables import render_verdict

LOOK_S = 1.0
UNHEARD_S = 30.0
"""A retraining that waits longer than this probably has no trainer worker."""


def describe_retraining(row: Retraining) -> dict[str, Any]:
    """Return all fields of a retraining, ready for JSON."""
    moments = ("created_at", "started_at", "heartbeat_at", "finished_at")
    names = ("state", "stage", "epoch", "step", "steps", "deaths", "claimed_by", "version")
    return {
        "id": str(row.id),
        **{name: getattr(row, name) for name in names},
        "verdict": row.verdict,
        "error": row.error,
        "shards": row.shards,
        "options": row.options,
        **{name: _to_text(getattr(row, name)) for name in moments},
    }


def render_list(rows: Sequence[Retraining]) -> str:
    """Return one line per retraining as a table."""
    if not rows:
        return "No retraining has been queued yet."
    grid = Table("id", "state", "shards", "queued (UTC)", "progress", "version")
    for row in rows:
        grid.add_row(
            name_retraining(row),
            row.state,
            _name_shards(row),
            f"{row.created_at.astimezone(UTC):%Y-%m-%d %H:%M}",
            "; ".join(_describe_progress(row)),
            row.version or "",
        )
    # Without styles, which the caller would take for somebody's control characters.
    console = Console(width=140, highlight=False, markup=False, color_system=None)
    with console.capture() as capture:
        console.print(grid)
    return capture.get().rstrip()


def render_retraining(row: Retraining) -> str:
    """Return one retraining in full, as lines."""
    lines = [f"Retraining {row.id} on {_name_shards(row)} {tell_state(row)}"]
    if row.state == RetrainingState.QUEUED and row.started_at is None:
        waited_s = (datetime.now(UTC) - row.created_at).total_seconds()
        if waited_s > UNHEARD_S:
            lines.append(
                "no trainer worker has started it: start one with `facetag worker --trainer`, or "
                "`facetag up --trainer`"
            )
    lines += _describe_progress(row)
    if row.deaths:
        lines.append(f"{row.deaths} trainer workers in a row died while they worked on it")
    if row.error:
        lines.append(row.error)
    lines += _describe_verdict(row)
    return "\n".join(lines)


def mention_retraining(row: Retraining) -> str:
    """Return one line about a retraining that waits or runs, shown below the bundles."""
    stage = f": {row.stage}" if row.stage else ""
    return f"Retraining {name_retraining(row)} {tell_state(row)}{stage}"


def follow_log(shelf: Shelf, which: str | None, *, follow: bool) -> Iterator[str]:
    """Yield the lines of a retraining's log; with `follow`, also new ones until it has ended."""
    last = 0
    with transaction(shelf.sessions) as session:
        row = find_retraining(session, which, tenant_id=shelf.tenant_id)
    while True:
        # The row first: once it has ended, no line is missed.
        with transaction(shelf.sessions) as session:
            row = session.get_one(Retraining, row.id)
            lines = read_lines(session, row.id, after=last)
        for line in lines:
            last = line.id
            yield _render_line(line)
        if not follow or row.finished_at is not None:
            return
        time.sleep(LOOK_S)


def _describe_progress(row: Retraining) -> list[str]:
    if row.finished_at is not None:
        return []
    lines = [row.stage] if row.stage else []
    if row.steps:
        lines.append(f"{row.step} of {row.steps} steps ({100 * row.step // row.steps}%)")
    return lines


def _describe_verdict(row: Retraining) -> list[str]:
    if row.verdict is None:
        return []
    lines = render_verdict(row.version or "The candidate", row.verdict)
    if row.state != RetrainingState.PROMOTED:
        force = "" if row.verdict["holds"] else " --force"
        lines.append(f"`facetag models promote {row.version}{force}` promotes it")
    return lines


def _render_line(line: RetrainingLine) -> str:
    return f"{line.created_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}  {line.text}"


def _name_shards(row: Retraining) -> str:
    return ", ".join(shard.get("name") or shard["url"] for shard in row.shards["new"])


def _to_text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
