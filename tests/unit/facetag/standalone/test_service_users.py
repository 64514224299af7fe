import os
import subprocess
import sys
from pathlib import Path

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


def test_a_mark_counts_for_others_while_its_process_lives(tmp_path):
    assert not in_use(tmp_path)
    user = subprocess.Popen(
        [sys.executable, "-c", USER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert user.stdout.readline() == "marked\n"
    assert in_use(tmp_path)
    # Killed, it cannot take its mark back.
    user.kill()
    user.communicate()
    assert not in_use(tmp_path)
    assert list((tmp_path / "users").iterdir()) == []


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
