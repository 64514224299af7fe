import os

import pytest

from facetag.cores import available_cores, compute_in_lanes


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


def test_an_operation_has_one_thread_unless_the_environment_says_otherwise(monkeypatch):
    environment = {"TF_NUM_INTEROP_THREADS": "7"}
    monkeypatch.setattr("facetag.cores.os.environ", environment)
    compute_in_lanes(3)
    assert environment == {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "7"}
    environment.clear()
    compute_in_lanes(3)
    assert environment == {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "3"}
