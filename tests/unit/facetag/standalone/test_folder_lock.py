import os
import subprocess
import sys

import pytest

from facetag.errors import DataFolderBusy
from facetag.standalone.folder_lock import lock_folder

HOLDER = """
import sys
from pathlib import Path
from facetag.standalone.folder_lock import lock_folder

with lock_folder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_holder_is_refused_and_told_who_holds_it(tmp_path):
    with (
        lock_folder(tmp_path),
        pytest.raises(DataFolderBusy, match=f"process {os.getpid()}"),
        lock_folder(tmp_path),
    ):
        pass


def test_it_is_free_again_after_use_and_after_a_refusal(tmp_path):
    with lock_folder(tmp_path), pytest.raises(DataFolderBusy):
        lock_folder(tmp_path).__enter__()
    with lock_folder(tmp_path):
        """Held again."""


def test_it_dies_with_a_process_that_is_killed(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DataFolderBusy, match=f"process {holder.pid}"):
            lock_folder(tmp_path).__enter__()
        holder.kill()
        holder.wait()
        assert (tmp_path / "lock").read_text() == f"{holder.pid}\n"
        with lock_folder(tmp_path):
            assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
