"""On a few public-domain images, what `benchmarks.network.same_faces` measures over many scenes."""

import click
import pytest

from benchmarks.harness.photo_mix import find_photos, size_class, sort_by_size, write_photos
from benchmarks.network.same_faces import compare
from facetag.settings import Settings


@pytest.mark.timeout(300)
def test_the_faces_of_mtcnn_are_found_and_labelled_by_what_ships_and_no_others(tmp_path):
    photos = write_photos(tmp_path / "photos", 12)
    small = [path for path in photos if size_class(path) in ("0.3 MP", "1 MP", "2 MP")][:6]
    tally = compare(small, Settings(), whole_side=0)
    assert tally.theirs >= 6
    assert tally.large >= 6
    shares = tally.shares()
    assert shares["found"] >= 0.99
    assert shares["without_counterpart"] <= 0.01
    assert shares["found_of_whole_photo"] >= 0.98
    assert tally.paired == tally.found
    assert shares["age_within_1"] == shares["gender_equal"] == shares["race_equal"] == 1


def test_the_photos_are_the_same_every_time_and_of_the_size_that_they_are_named_after(tmp_path):
    first, second = (write_photos(tmp_path / name, 5) for name in "ab")
    assert [one.read_bytes() for one in first] == [one.read_bytes() for one in second]
    assert find_photos(tmp_path / "a") == first
    assert [f"{size_class(path)}" for path in first] == [
        f"{float(path.stem.split('-')[1].removesuffix('MP')):g} MP" for path in first
    ]
    assert sum(len(members) for _, members in sort_by_size(first)) == 5


def test_photos_that_cannot_be_read_are_left_out_and_named(tmp_path, capsys):
    (whole,) = write_photos(tmp_path, 1)
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "cut.jpg").write_bytes(whole.read_bytes()[:5000])
    (tmp_path / "notes.txt").write_text("no photo")
    assert find_photos(tmp_path) == [whole]
    said = capsys.readouterr().err
    assert "empty.jpg: The file is empty." in said
    assert "cut.jpg: The file ends" in said
    whole.unlink()
    with pytest.raises(click.UsageError, match="no readable"):
        find_photos(tmp_path)
