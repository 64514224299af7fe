"""Keep what workers and sweepers report of themselves, for the metrics of the API.

They open no port of their own: whoever may ask the API sees the whole fleet.
"""

import json
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

REPORT_S = 10.0
"""Seconds between two reports of a worker."""
FRESH_S = 60.0
"""After this time without a report, a program is not shown any more."""

RECORD = text("""
    INSERT INTO program_reports (name, reported_at, report) VALUES (:name, now(), :report)
    ON CONFLICT (name) DO UPDATE
    SET reported_at = excluded.reported_at, report = excluded.report
""")
FRESH = text("""
    SELECT name, report FROM program_reports
    WHERE reported_at > now() - make_interval(secs => :fresh_s) ORDER BY name
""")
FORGET = text("DELETE FROM program_reports WHERE reported_at < now() - interval '1 hour'")


@dataclass(frozen=True, slots=True)
class ProgramReport:
    """Hold one report: sizes in bytes now, and sums since the program started."""

    memory_bytes: int
    free_disk_bytes: int
    bundle: str | None = None
    """Version of the bundle that labels; None for a program that labels nothing."""
    photos: int = 0
    batches: int = 0
    """Calls of the network for `photos` photos together."""
    stage_s: Mapping[str, float] = field(default_factory=dict)
    """Seconds by stage, summed over threads and photos."""


def name_program(kind: str, number: object = "") -> str:
    """Return the name of a kind of program on this machine, such as `worker@host:17`."""
    return f"{kind}@{socket.gethostname()}{f':{number}' if number else ''}"


def record_report(session: Session, name: str, report: ProgramReport) -> None:
    """Replace the report of a program."""
    session.execute(RECORD, {"name": name, "report": json.dumps(asdict(report))})


def forget_reports(session: Session) -> None:
    """Delete the reports of programs that ended an hour ago."""
    session.execute(FORGET)


def fresh_reports(session: Session) -> dict[str, ProgramReport]:
    """Return the reports of the programs that run, by name."""
    # During an upgrade, programs of another release may report more.
    known = {one.name for one in fields(ProgramReport)}
    rows: Any = session.execute(FRESH, {"fresh_s": FRESH_S})
    return {
        name: ProgramReport(**{key: report[key] for key in report.keys() & known})
        for name, report in rows
    }
