import errno
import shutil
import tempfile
from collections import namedtuple
from pathlib import Path

import pytest

from facetag.disk_space import (
    explained_full_disk,
    find_full_disk,
    free_space,
    require_space,
    temporary_folder,
)
from facetag.errors import DiskFull

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def nearly_full(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: Usage(10**9, 0, 2_500_000))


def test_the_disk_and_the_space_needed_are_named(nearly_full, tmp_path):
    require_space(tmp_path, 2_500_000, use="it", remedy="wait")
    with pytest.raises(DiskFull) as caught:
        require_space(tmp_path / "not yet", 4 * 10**8, use="its database", remedy="set X")
    assert str(caught.value) == (
        f"The disk of {tmp_path / 'not yet'} is full: its database needs 400 MB, and 2.5 MB is "
        "free. Make space, or set X; then give the same command again."
    )


def test_a_folder_that_does_not_exist_yet_lies_on_the_disk_of_the_one_above(tmp_path):
    assert free_space(tmp_path / "a" / "b") > 0


def test_the_fullest_disk_is_found_only_below_a_bound(nearly_full, tmp_path):
    assert find_full_disk([tmp_path], 10**6) is None
    assert find_full_disk([tmp_path], 10**7) == tmp_path


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_writing_to_a_full_disk_is_explained(nearly_full, tmp_path, number):
    with (
        pytest.raises(DiskFull, match=r"out.csv is full: it needs about 3 kB, and 2.5 MB is free"),
        explained_full_disk("out.csv", tmp_path, 2500),
    ):
        raise OSError(number, "no room")


def test_a_full_disk_is_explained_without_amounts_that_nobody_knows(nearly_full, tmp_path):
    known = {(tmp_path, 0): ": 2.5 MB is free. Make", (None, 0): " full. Make"}
    for (folder, needed), words in known.items():
        with pytest.raises(DiskFull, match=words), explained_full_disk("x.csv", folder, needed):
            raise OSError(errno.ENOSPC, "no room")


def test_another_fault_of_writing_stays_what_it_is(tmp_path):
    with pytest.raises(PermissionError), explained_full_disk("out.csv", tmp_path, 1):
        raise PermissionError(errno.EACCES, "not allowed")


def test_no_folder_for_temporary_files_is_explained(monkeypatch):
    def none():
        raise FileNotFoundError("No usable temporary directory found")

    assert temporary_folder() == Path(tempfile.gettempdir())
    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(DiskFull, match="TMPDIR"):
        temporary_folder()
