import os
import stat

import pytest

from facetag.atomic_write import atomic_draft, atomic_open, atomic_open_text, atomic_write


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("fsync", [False, True])
@pytest.mark.parametrize("sole_writer", [False, True])
def test_bytes_text_streams_and_paths_replace_the_file(tmp_path, fsync, sole_writer):
    path, how = tmp_path / "file.bin", {"fsync": fsync, "sole_writer": sole_writer}
    atomic_write(path, b"\xff\r\n", **how)
    assert path.read_bytes() == b"\xff\r\n"
    atomic_write(path, "é\n", **how)
    assert path.read_bytes() == "é\n".encode()
    with atomic_open(path, **how) as file:
        file.write(b"\xfe")
        assert path.read_bytes() == "é\n".encode()
    assert path.read_bytes() == b"\xfe"
    with atomic_open_text(path, **how) as text:
        text.write("ü\n")
    assert path.read_bytes() == "ü\n".encode()
    with atomic_draft(path, **how) as draft:
        draft.write_text("by path")
    assert path.read_text() == "by path"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_keeps_the_old_file_and_leaves_no_draft(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(TypeError), atomic_open(path) as file:
        file.writelines([b"half", "text"])
    with pytest.raises(UnicodeEncodeError), atomic_open_text(path) as text:
        text.writelines(["half", "\udce9"])
    with pytest.raises(ZeroDivisionError), atomic_draft(path) as draft:
        draft.write_text(str(1 / 0))
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_draft_keeps_the_suffixes_and_fits_in_a_name(tmp_path):
    with atomic_draft(tmp_path / "network.weights.h5") as draft:
        assert draft.parent == tmp_path
        assert draft.name.endswith(".weights.h5")
    atomic_write(tmp_path / ("写" * 80 + ".txt"), "long")


def test_a_draft_that_a_kill_left_is_replaced_by_the_sole_writers_next(tmp_path):
    path = tmp_path / "file"
    with atomic_draft(path, sole_writer=True) as draft:
        pass
    draft.write_text("left by a crash")
    draft.chmod(0o666)
    atomic_write(path, "whole", mode=0o600, sole_writer=True)
    assert list(tmp_path.iterdir()) == [path]
    assert mode_of(path) == 0o600


def test_two_writers_have_drafts_of_their_own(tmp_path):
    with atomic_draft(tmp_path / "file") as one, atomic_draft(tmp_path / "file") as other:
        assert one != other


def test_a_new_file_has_the_mode_of_the_umask_and_an_old_one_keeps_its_own(tmp_path):
    path = tmp_path / "file"
    before = os.umask(0o027)
    try:
        atomic_write(path, "new")
    finally:
        os.umask(before)
    assert mode_of(path) == 0o640
    path.chmod(0o604)
    atomic_write(path, "other")
    assert mode_of(path) == 0o604


def test_a_private_file_is_private_from_the_start_whatever_it_was(tmp_path):
    path = tmp_path / "secret"
    path.write_text("before")
    path.chmod(0o666)
    with atomic_open_text(path, mode=0o600) as file:
        file.write("hidden")
        drafts = [entry for entry in tmp_path.iterdir() if entry != path]
        assert [mode_of(draft) for draft in drafts] == [0o600]
    assert mode_of(path) == 0o600


def test_a_link_keeps_pointing_to_the_file(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    atomic_write(tmp_path / "link", "x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "x"


def test_a_pipe_is_neither_replaced_nor_written_to(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Opened both ways, it waits for nobody.
    end = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    with pytest.raises(OSError, match="a device or a pipe"):
        atomic_write(pipe, "whole")
    for refused in (atomic_draft, atomic_open, atomic_open_text):
        with pytest.raises(OSError, match="a device or a pipe"), refused(pipe):
            pass
    assert list(tmp_path.iterdir()) == [pipe]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    with pytest.raises(BlockingIOError):
        os.read(end, 1)
    os.close(end)
