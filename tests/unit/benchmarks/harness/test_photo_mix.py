"""Portraits are of mixed sizes, and the same each time."""

from PIL import Image

from benchmarks.harness.photo_mix import PORTRAIT_DECK, write_portraits


def test_portraits_have_the_sizes_of_their_names_and_are_the_same_each_time(tmp_path):
    once, again = (write_portraits(tmp_path / name, 3) for name in ("once", "again"))
    for first, second, megapixels in zip(once, again, PORTRAIT_DECK, strict=False):
        assert first.read_bytes() == second.read_bytes()
        with Image.open(first) as photo:
            assert abs(photo.width * photo.height / 1e6 - megapixels) < 0.05 * megapixels
