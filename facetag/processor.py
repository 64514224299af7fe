"""What the processor says of itself, where the system tells (Linux)."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
INT8_FLAGS = {"avx512_vnni", "avx_vnni", "amx_int8"}


@cache
def read_cpu_info(file: Path = CPU_INFO) -> Mapping[str, str]:
    """Return what is stated of the first core, such as its `flags`; nothing where it is not."""
    try:
        lines = file.read_text().split("\n\n")[0].splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def multiplies_bfloat16(file: Path = CPU_INFO) -> bool:
    """Return whether the processor multiplies bfloat16 itself, which is about twice as fast.

    oneDNN emulates it on others with AVX-512, slower than float32.
    """
    return _has_one_of(BFLOAT16_FLAGS, file)


def multiplies_int8(file: Path = CPU_INFO) -> bool:
    """Return whether the processor adds up products of 8 bits itself, twice as fast again.

    On others sums of two products may not fit what they are kept in.
    """
    return _has_one_of(INT8_FLAGS, file)


def _has_one_of(flags: set[str], file: Path) -> bool:
    return not flags.isdisjoint(read_cpu_info(file).get("flags", "").split())
