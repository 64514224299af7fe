"""Test what is read of the CPU: the cores that may be used, and the precisions it is fast in."""

import os

import pytest

from facetag.cpu import available_cores, multiplies_bfloat16, multiplies_int8, read_cpu_info

CORES = """processor\t: 0
model name\t: Some Processor @ 2.60GHz
flags\t\t: fpu avx2 {flags}

processor\t: 1
model name\t: Some Processor @ 2.60GHz
flags\t\t: fpu avx2 avx512_bf16
"""


@pytest.fixture
def quota(tmp_path):
    def write(text):
        file = tmp_path / "cpu.max"
        file.write_text(text)
        return file

    return write


def test_without_a_quota_the_affinity_counts(quota, tmp_path):
    cores = len(os.sched_getaffinity(0))
    assert available_cores(quota("max 100000")) == cores
    assert available_cores(tmp_path / "none") == cores
    assert available_cores(quota("what is this")) == cores


@pytest.mark.parametrize("text", ["100000 100000", "50000 100000", "1 100000"])
def test_a_quota_of_a_core_or_less_is_one_core(quota, text):
    assert available_cores(quota(text)) == 1


def test_a_quota_above_the_machine_changes_nothing(quota):
    assert available_cores(quota("6400000 100000")) == available_cores(quota("max 100000"))


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("avx512f", False), ("avx512f avx512_bf16", True), ("amx_tile amx_bf16", True), ("", False)],
)
def test_bfloat16_is_used_where_the_first_core_multiplies_it(tmp_path, flags, expected):
    (tmp_path / "cpuinfo").write_text(CORES.format(flags=flags))
    assert multiplies_bfloat16(tmp_path / "cpuinfo") is expected
    assert read_cpu_info(tmp_path / "cpuinfo")["model name"] == "Some Processor @ 2.60GHz"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("avx512_bf16", False), ("avx512_vnni", True), ("avx_vnni", True), ("amx_int8", True)],
)
def test_int8_is_used_where_its_products_are_added_up(tmp_path, flags, expected):
    (tmp_path / "cpuinfo").write_text(CORES.format(flags=flags))
    assert multiplies_int8(tmp_path / "cpuinfo") is expected


def test_a_system_that_does_not_tell_has_none(tmp_path):
    assert read_cpu_info(tmp_path / "nothing") == {}
    assert not multiplies_bfloat16(tmp_path / "nothing")
    assert not multiplies_int8(tmp_path / "nothing")
