"""Print jobs as a table, or describe one in a few lines."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from facetag.client.api_client import JobView
from facetag.results.name_escapes import escape_controls
from facetag_cli.client.job_progress import finished_count
from facetag_cli.client.job_reference import short_ids
from facetag_cli.output.results_table import console_for, keep_end, printable

NAME_WIDTH = 30
STYLES = {"completed": "green", "failed": "red", "cancelled": "yellow"}
UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def print_jobs(jobs: Sequence[JobView]) -> None:
    """Print one row per job on standard output."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("Job", no_wrap=True)
    table.add_column("Name", no_wrap=True)
    table.add_column("State", no_wrap=True)
    table.add_column("Photos", justify="right", no_wrap=True)
    table.add_column("Tagged", justify="right", no_wrap=True)
    table.add_column("No face", justify="right", no_wrap=True)
    table.add_column("Failed", justify="right", no_wrap=True)
    table.add_column("Age", justify="right", no_wrap=True)
    now = datetime.now(UTC)
    for job, short in zip(jobs, short_ids(jobs), strict=True):
        counts, state = job["counts"], job["state"]
        table.add_row(
            short,
            Text(keep_end(printable(job["name"] or ""), NAME_WIDTH)),
            Text(state.replace("_", " "), style=STYLES.get(state, "")),
            "?" if job["total"] is None else f"{job['total']:,}",
            *(f"{counts[name]:,}" for name in ("tagged", "no_face", "failed")),
            age_text((now - datetime.fromisoformat(job["created_at"])).total_seconds()),
        )
    console_for(sys.stdout).print(table)


def describe_job(job: JobView) -> str:
    """Return a job as lines: its name and state, its counts, and its error if it has one."""
    name = f" ({job['name']})" if job["name"] else ""
    total = "an unknown number of" if job["total"] is None else f"{job['total']}"
    counts = ", ".join(
        f"{count} {state.replace('_', ' ')}" for state, count in job["counts"].items() if count
    )
    if job["reused"]:
        counts += f"; {job['reused']} of them known before"
    lines = [
        f"Job {job['id']}{name}: {job['state'].replace('_', ' ')}",
        *([f"Purpose: {job['purpose']}"] if job.get("purpose") else []),
        f"{finished_count(job)} of {total} photos finished" + (f": {counts}" if counts else ""),
    ]
    if (aggregate := job.get("aggregate")) is not None:
        lines += _describe_groups(aggregate)
    if job["error"]:
        lines.append(job["error"])
    return escape_controls("\n".join(lines))


def _describe_groups(aggregate: Mapping[str, Any]) -> list[str]:
    lines = [f"{aggregate['faces']} faces are counted, and nothing else is kept:"]
    for group in sorted(aggregate["groups"], key=lambda group: -group["faces"]):
        labels = [group[name] for name in ("gender", "race", "age") if group[name]]
        lines.append(f"  {group['faces']:>8}  apparent {', '.join(labels)}" if labels else "")
    return [line for line in lines if line]


def age_text(seconds: float) -> str:
    """Return a time in its largest unit, such as `3 d` or `12 min`."""
    for unit, length in UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return "now"
