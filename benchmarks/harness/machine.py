"""Describe the machine and the date of a measurement."""

import os
import platform
from datetime import UTC, datetime

from facetag.cpu import available_cores, read_cpu_info

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def describe_machine() -> dict[str, object]:
    """Return the CPU, its cores and instructions, the machine's load, and the date (UTC)."""
    info = read_cpu_info()
    flags = set(info.get("flags", "").split())
    return {
        "processor": info.get("model name", platform.processor() or platform.machine()),
        "cores": available_cores(),
        "instructions": [flag for flag in FLAGS if flag in flags],
        "load": round(os.getloadavg()[0], 1),
        "date": datetime.now(UTC).date().isoformat(),
    }


def in_words(machine: dict[str, object]) -> str:
    """Return the description as one line of text."""
    instructions = machine["instructions"]
    assert isinstance(instructions, list)
    return (
        f"{machine['processor']}, {machine['cores']} cores ({', '.join(instructions)}), "
        f"{machine['date']}; load before the start {machine['load']}"
    )
