import hashlib

from PIL import Image

from benchmarks.samples import EXPECTED, SKIPPED, write_samples
from facetag.inputs.photo_files import collect_photos


def test_the_samples_are_those_whose_outcome_is_known(tmp_path):
    names = write_samples(tmp_path)
    collection = collect_photos(tmp_path)
    assert {photo.name for photo in collection.photos} == set(EXPECTED)
    assert set(names) == set(EXPECTED) | set(SKIPPED)
    assert {state for state, _, _ in EXPECTED.values()} == {"tagged", "no_face", "failed"}


def test_the_samples_are_the_same_every_time(tmp_path):
    digests = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        names = write_samples(folder)
        digests.append([hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names])
    assert digests[0] == digests[1]


def test_the_rotated_sample_lies_on_its_side_until_its_orientation_is_applied(tmp_path):
    write_samples(tmp_path)
    with Image.open(tmp_path / "held sideways.jpg") as image:
        assert image.getexif()[0x0112] == 6
