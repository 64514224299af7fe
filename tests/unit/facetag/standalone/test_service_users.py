import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from facetag.errors import DiskFull
from facetag.standalone.service_users import in_use, mark_use

USER = """
import sys
from pathlib import Path
from facetag.standalone.service_users import mark_use

with mark_use(Path(sys.argv[1])):
    print("marked", flush=True)
    sys.stdin.read()
"""


@contextmanager
def user_of(run_dir: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", USER, str(run_dir)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as user:
        assert user.stdout is not None
        assert user.stdout.readline() == "marked\n"
        yield user
        # Killed, it cannot take its mark back.
        user.kill()


def test_a_mark_counts_for_others_while_its_process_lives(tmp_path):
    assert not in_use(tmp_path)
    with user_of(tmp_path):
        assert in_use(tmp_path)
    assert not in_use(tmp_path)
    assert list((tmp_path / "users").iterdir()) == []


def test_a_mark_in_a_copy_of_the_folder_does_not_count(tmp_path):
    folder, copy = tmp_path / "data", tmp_path / "copy"
    with user_of(folder / "run"):
        shutil.copytree(folder, copy)
        assert not in_use(copy / "run")
        assert in_use(folder / "run")


def test_a_mark_of_an_earlier_release_counts(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as user:
        (tmp_path / "users").mkdir()
        mark = tmp_path / "users" / str(user.pid)
        mark.write_text(json.dumps(psutil.Process(user.pid).create_time()))
        assert in_use(tmp_path)
        user.kill()
    assert not in_use(tmp_path)
    mark.write_text("[]")
    assert not in_use(tmp_path)


def test_the_own_mark_does_not_count_and_goes_with_the_body(tmp_path):
    with mark_use(tmp_path):
        assert not in_use(tmp_path)
        assert [mark.name for mark in (tmp_path / "users").iterdir()] == [str(os.getpid())]
    assert list((tmp_path / "users").iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_full_disk_is_named_with_the_space_that_is_needed(tmp_path):
    folder = tmp_path / "data" / "run" / "users"
    folder.mkdir(parents=True)
    (folder / str(os.getpid())).symlink_to("/dev/full")
    with pytest.raises(DiskFull) as caught, mark_use(folder.parent):
        pass
    text = str(caught.value)
    assert text.startswith(f"The disk of {tmp_path / 'data'} is full")
    assert "400 MB" in text
