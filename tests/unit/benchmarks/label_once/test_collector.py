import click
import pytest
from PIL import Image

from benchmarks.label_once.collector import (
    known_and_left,
    write_small_photos,
    write_usual_photos,
)


def test_what_the_command_says_is_read():
    assert known_and_left("Job 1a: 2,019 photos: 1,998 known, 21 to label.") == (1998, 21)
    with pytest.raises(click.ClickException, match="did not say"):
        known_and_left("Job 1a: 20 photos")


@pytest.mark.parametrize("write", [write_small_photos, write_usual_photos])
def test_no_two_photos_are_the_same(tmp_path, write):
    write(tmp_path / "photos", range(250, 255))
    contents = {path.read_bytes() for path in (tmp_path / "photos").iterdir()}
    assert len(contents) == 5


def test_usual_photos_have_the_sizes_of_the_mix(tmp_path):
    write_usual_photos(tmp_path, range(7, 13))
    sizes = [Image.open(path).size for path in sorted(tmp_path.iterdir())]
    assert [round(width * height / 1e6, 1) for width, height in sizes] == [0.3] * 5 + [1.0]
