"""What is kept of freed memory and what goes back, in processes whose size is their own."""

import subprocess
import sys
from pathlib import Path

import pytest

from facetag.vision.inference.glibc_heap import HUGE_PAGES, ONLY_ADVISED, resident_bytes

PROGRAM = """
from facetag.vision.inference.glibc_heap import collect_garbage, resident_bytes, set_up_heaps

def resident_mb():
    return resident_bytes() / 2**20

set_up_heaps()
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


def test_blocks_of_photos_are_kept_and_larger_ones_are_not():
    program = """
from facetag.vision.inference.glibc_heap import resident_bytes, return_free_memory, set_up_heaps

set_up_heaps()
before = resident_bytes()
for megabytes in (3, 6):
    block = bytearray(b"1") * (megabytes * 2**20)
    del block
    print((resident_bytes() - before) / 2**20)
return_free_memory()
print((resident_bytes() - before) / 2**20)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    photo, larger, trimmed = (float(value) for value in done.stdout.split())
    assert photo == pytest.approx(3, abs=1.5)
    assert larger == pytest.approx(3, abs=1.5)
    assert trimmed < 1.5


def test_threads_share_one_heap(tmp_path):
    program = f"""
import ctypes, threading
from facetag.vision.inference.glibc_heap import set_up_heaps

set_up_heaps()
c = ctypes.CDLL(None)
c.malloc.restype = c.fopen.restype = ctypes.c_void_p
there = threading.Barrier(4)

def allocate():
    assert c.malloc(5000)
    there.wait()

threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
file = ctypes.c_void_p(c.fopen({str(tmp_path / "heaps.xml").encode()}, b"w"))
c.malloc_info(0, file)
c.fclose(file)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    assert (tmp_path / "heaps.xml").read_text().count("<heap ") == 1


def huge_kb(pixels):
    """How much of what NumPy allocates by an expression lies in pages of 2 MB."""
    program = f"""
import numpy as np
from facetag.vision.inference.glibc_heap import set_up_heaps

set_up_heaps()
pixels = {pixels}
with open("/proc/self/smaps_rollup") as file:
    print(next(line for line in file if line.startswith("AnonHugePages")).split()[1])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_the_heap_has_small_pages_so_that_little_in_use_holds_little():
    assert huge_kb("[np.ones(3 * 2**20, np.uint8) for _ in range(10)]") == 0


@pytest.mark.skipif(
    not HUGE_PAGES.exists() or ONLY_ADVISED not in HUGE_PAGES.read_text(encoding="ascii"),
    reason="the system gives no large pages to those who ask",
)
def test_blocks_that_go_back_at_once_have_large_ones():
    assert huge_kb("np.ones(32 * 2**20, np.uint8)") >= 28 * 1024


def test_memory_is_measured_as_the_system_does():
    status = Path("/proc/self/status").read_text()
    (stated,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")]
    assert resident_bytes() == pytest.approx(int(stated) * 1024, rel=0.05)
