"""Freed memory goes back to the system; runs in a process of its own, whose size is its own."""

import subprocess
import sys

PROGRAM = """
from pathlib import Path
from vision.heap import collect_garbage, limit_heaps

def resident_mb():
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024

limit_heaps()
before = resident_mb()
# Too small for mappings of their own; the last one stays, so that the heap cannot shrink.
blocks = [bytearray(60_000) for _ in range(3000)]
full = resident_mb()
del blocks[:-1]
collect_garbage()
print(before, full, resident_mb())
"""


def test_freed_memory_is_handed_back():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    before, full, after = (float(value) for value in done.stdout.split())
    assert full > before + 150
    assert after < before + 30
