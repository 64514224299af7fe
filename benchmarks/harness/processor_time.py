"""Read how much processor time each program of the service has taken."""

from collections import defaultdict
from collections.abc import Mapping

import psutil

PROGRAMS = {"postgres": "PostgreSQL", "weed": "SeaweedFS", "valkey-server": "Valkey"}
"""Titles of servers by the names of their processes."""
CLIENT = "client"


def read_processor_s(titles: Mapping[int, str]) -> dict[str, float]:
    """Return the processor seconds, by title, of this process and of all below it.

    `titles` names processes by their id, besides PROGRAMS; what has no title counts for the process
    above it, and what has ended for the one that waited for it.
    """
    seconds: defaultdict[str, float] = defaultdict(float)
    _add(psutil.Process(), CLIENT, titles, seconds)
    return dict(seconds)


def _add(
    process: psutil.Process, title: str, titles: Mapping[int, str], seconds: dict[str, float]
) -> None:
    try:
        title = titles.get(process.pid) or PROGRAMS.get(process.name(), title)
        times, children = process.cpu_times(), process.children()
    except psutil.NoSuchProcess:
        return
    seconds[title] += times.user + times.system + times.children_user + times.children_system
    for child in children:
        _add(child, title, titles, seconds)
