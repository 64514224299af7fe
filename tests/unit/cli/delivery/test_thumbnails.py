import base64
import io

import pytest
from PIL import Image

from facetag.results.collection_counts import compose
from facetag_cli.delivery.thumbnails import LONG_SIDE, PhotoSample, make_thumbnails, shrink


def opened(data):
    return Image.open(io.BytesIO(data))


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "a.jpg"
    Image.effect_noise((1600, 1200), 90).convert("RGB").save(path)
    return path


def test_a_thumbnail_is_a_small_jpeg(photo):
    image = opened(shrink(photo))
    assert (image.format, image.size) == ("JPEG", (LONG_SIDE, LONG_SIDE * 3 // 4))


def test_a_thumbnail_stands_upright(tmp_path):
    image = Image.new("RGB", (200, 100), "red")
    image.paste("blue", (0, 0, 100, 100))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.png", exif=exif)
    upright = opened(shrink(tmp_path / "a.png"))
    assert upright.size == (100, 200)
    assert upright.getpixel((50, 20))[2] > 200


def test_transparency_becomes_white(tmp_path):
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(tmp_path / "a.png")
    assert opened(shrink(tmp_path / "a.png")).getpixel((10, 10)) == (255, 255, 255)


def test_what_is_gone_or_damaged_has_no_thumbnail(tmp_path, photo):
    (tmp_path / "cut.jpg").write_bytes(photo.read_bytes()[:3000])
    (tmp_path / "text.jpg").write_text("no photo")
    for name in ("gone.jpg", "cut.jpg", "text.jpg"):
        assert shrink(tmp_path / name) is None


def test_thumbnails_stop_at_their_bytes_and_skip_what_is_elsewhere(photo, make_line):
    lines = [make_line(f"{index}.jpg") for index in range(6)]
    size = len(shrink(photo))
    found = make_thumbnails(
        lines,
        compose(lines),
        lambda name: None if name == "0.jpg" else photo,
        max_bytes=2 * size,
    )
    assert list(found) == [1, 2]
    assert (
        opened(base64.b64decode(found[1].removeprefix("data:image/jpeg;base64,"))).format == "JPEG"
    )


def test_rare_groups_have_thumbnails_first_then_doubtful_faces(photo, make_line):
    (face,) = make_line("x")["faces"]
    lines = [
        make_line("0.jpg", state="no_face"),
        make_line("1.jpg"),
        make_line("2.jpg", faces=[face | {"uncertain": ["race"]}]),
        make_line("3.jpg", faces=[face | {"age": 70.0}]),
    ]
    assert list(make_thumbnails(lines, compose(lines), lambda name: photo)) == [3, 2, 1, 0]


def test_a_sample_is_bounded_and_in_order(make_line):
    sample = PhotoSample(size=5)
    for index in range(200):
        sample.offer(make_line(f"{index:03}"))
    names = [line["image"] for line in sample.lines()]
    assert len(names) == 5
    assert names == sorted(names)
    assert int(names[-1]) > 20
