import click
import pytest

from benchmarks.label_once.collector import known_and_left, write_small_photos


def test_what_the_command_says_is_read():
    assert known_and_left("Job 1a: 2,019 photos: 1,998 known, 21 to label.") == (1998, 21)
    with pytest.raises(click.ClickException, match="did not say"):
        known_and_left("Job 1a: 20 photos")


def test_no_two_photos_are_the_same(tmp_path):
    write_small_photos(tmp_path / "photos", range(250, 260))
    contents = {path.read_bytes() for path in (tmp_path / "photos").iterdir()}
    assert len(contents) == 10
