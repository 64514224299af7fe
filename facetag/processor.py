"""What the processor says of itself, where the system tells (Linux)."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}


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
    return not BFLOAT16_FLAGS.isdisjoint(read_cpu_info(file).get("flags", "").split())
