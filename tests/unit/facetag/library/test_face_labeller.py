import io
import itertools
import multiprocessing
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageFile

import facetag
from facetag.errors import FacetagError, InputInvalid, SettingsInvalid
from facetag_worker.fakes import FakeLabeller

PROGRAM = """
import sys, facetag
facetag.Client, facetag.PhotoResults
print(sorted(sys.modules.keys() & {"tensorflow", "keras", "numpy", "sqlalchemy", "pyarrow"}))
"""


def pixels(brightness, height=60, width=80):
    return np.full((height, width, 3), brightness, np.uint8)


def jpeg(brightness, **size):
    file = io.BytesIO()
    Image.fromarray(pixels(brightness, **size)).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def album(tmp_path):
    """Twenty photos, more than a chunk: dark ones have no face, and two files are no photos."""
    for place in range(18):
        (tmp_path / f"{place:02}.jpg").write_bytes(jpeg(200 if place % 3 else 20))
    (tmp_path / "08b.jpg").write_bytes(b"not a photo")
    (tmp_path / "10b.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no photo")
    return tmp_path


def test_a_folder_gives_a_line_per_photo_in_order_and_bad_files_are_results(album):
    fake = FakeLabeller()
    lines = list(facetag.FaceLabeller(loaded=fake).label(album))
    names = sorted(path.name for path in album.iterdir() if path.suffix != ".txt")
    assert [line["image"] for line in lines] == names
    assert {line["image"]: line["error"]["code"] for line in lines if line["error"]} == {
        "08b.jpg": "not_an_image",
        "10b.png": "empty_file",
    }
    dark = [line["image"] for line in lines if line["state"] == "no_face"]
    assert dark == [f"{place:02}.jpg" for place in range(0, 18, 3)]
    assert sum(fake.batches) == 18
    assert max(fake.batches) == 14, "a chunk of the worker's size, less its bad files"


def test_arrays_images_bytes_and_paths_may_be_mixed_and_keep_their_order(album):
    bright = pixels(200)
    given = [album / "01.jpg", bright, Image.fromarray(bright), jpeg(200), album, np.zeros((4, 4))]
    lines = list(facetag.FaceLabeller(loaded=FakeLabeller()).label(given))
    assert [line["image"] for line in lines[:4]] == [str(album / "01.jpg"), "1", "2", "3"]
    assert lines[4]["image"] == f"{album.as_posix()}/00.jpg"
    assert [line["state"] for line in lines[:4]] == ["tagged"] * 4
    assert lines[1]["faces"] == lines[2]["faces"]
    assert (lines[-1]["image"], lines[-1]["error"]["code"]) == ("5", "not_an_image")
    assert "uint8 (height, width, 3)" in lines[-1]["error"]["message"]


def test_an_iterator_is_read_as_it_goes(album):
    taken = []

    def endless():
        for place in itertools.count():
            taken.append(place)
            yield pixels(200)

    lines = facetag.FaceLabeller(loaded=FakeLabeller()).label(endless())
    assert next(lines)["state"] == "tagged"
    lines.close()
    assert len(taken) <= 3 * 16


def test_photos_that_find_no_room_in_memory_come_in_the_next_chunk_and_in_order(
    tmp_path, monkeypatch
):
    # Of photos of nine megapixels, eight fill the reader's budget.
    monkeypatch.setenv("FACETAG_FETCH_THREADS", "1")
    large = Image.fromarray(pixels(200, height=3000, width=3000))
    large.save(tmp_path / "00.png", compress_level=1)
    for place in range(1, 12):
        (tmp_path / f"{place:02}.png").hardlink_to(tmp_path / "00.png")
    fake = FakeLabeller()
    lines = list(facetag.FaceLabeller(loaded=fake).label(tmp_path))
    assert [line["image"] for line in lines] == [f"{place:02}.png" for place in range(12)]
    assert {line["state"] for line in lines} == {"tagged"}
    assert fake.batches == [8, 4]


def test_pixels_are_taken_only_as_far_as_memory_has_room():
    fake = FakeLabeller()
    images = (Image.new("RGB", (3000, 3000), "white") for _ in range(12))
    lines = list(facetag.FaceLabeller(loaded=fake).label(images))
    assert [line["image"] for line in lines] == [str(place) for place in range(12)]
    assert fake.batches == [8, 4]


def test_an_image_that_breaks_off_is_a_result_and_loses_no_other():
    whole = jpeg(200)
    given = [Image.open(io.BytesIO(whole)), Image.open(io.BytesIO(whole[:-20])), whole]
    lines = list(facetag.FaceLabeller(loaded=FakeLabeller()).label(given))
    assert [line["state"] for line in lines] == ["tagged", "failed", "tagged"]
    assert lines[1]["error"]["code"] == "truncated"


def test_what_the_program_told_pillow_changes_no_result_and_is_kept(album, monkeypatch):
    broken = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(broken, "PNG")
    (album / "cut.png").write_bytes(broken.getvalue()[:-999])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)
    before = list(facetag.FaceLabeller(loaded=FakeLabeller()).label(album))
    assert before[-1]["error"]["code"] == "truncated"
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert list(facetag.FaceLabeller(loaded=FakeLabeller()).label(album)) == before
    assert Image.MAX_IMAGE_PIXELS == 100
    with pytest.raises(Image.DecompressionBombError):
        Image.open(album / "00.jpg")


def test_a_closed_labeller_and_one_of_another_process_say_so():
    labeller = facetag.FaceLabeller(loaded=FakeLabeller())
    with multiprocessing.get_context("fork").Pool(1, FORKED.append, [labeller]) as pool:
        assert "before this process was forked" in pool.apply_async(_label_forked).get(60)
    with labeller:
        late = labeller.label(pixels(200))
    with pytest.raises(FacetagError, match="This labeller is closed"):
        next(late)


FORKED = []


def _label_forked():
    try:
        return str(list(FORKED[0].label(pixels(200))))
    except FacetagError as error:
        return str(error)


@pytest.mark.parametrize("guarded", [1, 20])
def test_photos_for_which_no_decoder_starts_fail_with_the_reason_and_lose_no_other(
    album, monkeypatch, guarded
):
    # TIFF is decoded in a process of its own.
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    for place in range(guarded):
        Image.fromarray(pixels(200)).save(album / f"03b-{place:02}.tif")
    lines = list(facetag.FaceLabeller(loaded=FakeLabeller()).label(album))
    names = sorted(path.name for path in album.iterdir() if path.suffix != ".txt")
    assert [line["image"] for line in lines] == names
    failed = [line for line in lines if line["image"].endswith(".tif")]
    assert {line["error"]["code"] for line in failed} == {"internal_error"}
    assert all("FACETAG_SUSPECT_MEMORY_MB" in line["error"]["message"] for line in failed)
    assert sum(line["state"] == "failed" for line in lines) == guarded + 2


def test_a_photo_for_which_a_decoder_starts_at_last_is_labelled(tmp_path, monkeypatch):
    starts = tmp_path / "starts"
    python = tmp_path / "python"
    python.write_text(
        f"#!/bin/sh\necho >> {starts}\n"
        f'[ $(wc -l < {starts}) -lt 3 ] || exec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    Image.fromarray(pixels(200)).save(tmp_path / "a.tif")
    (tmp_path / "b.jpg").write_bytes(jpeg(200))
    lines = list(facetag.FaceLabeller(loaded=FakeLabeller()).label(tmp_path))
    assert [(line["image"], line["state"]) for line in lines] == [
        ("a.tif", "tagged"),
        ("b.jpg", "tagged"),
    ]


def test_a_photo_at_which_the_network_fails_is_a_result(album):
    def fail(photo):
        if photo.copy.mean() < 127:
            raise ValueError("told to fail")

    lines = list(facetag.FaceLabeller(loaded=FakeLabeller(before=fail)).label(album))
    codes = [line["error"]["code"] for line in lines if line["error"]]
    assert codes.count("internal_error") == 6
    assert [line["state"] for line in lines].count("tagged") == 12


def test_what_is_no_photo_and_what_lies_elsewhere_is_refused_with_the_way_out(monkeypatch):
    labeller = facetag.FaceLabeller(loaded=FakeLabeller())
    with pytest.raises(InputInvalid, match="A float is not a photo: give paths"):
        labeller.label([1.5])
    with pytest.raises(InputInvalid, match=r"facetag\.Client"):
        labeller.label("s3://museum/photos")
    with pytest.raises(SettingsInvalid, match="give one or more of age, gender, race"):
        facetag.FaceLabeller(heads="mood", loaded=FakeLabeller())


def test_importing_facetag_loads_neither_numpy_nor_tensorflow_nor_the_database():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
    assert {"label", "FaceLabeller", "Client", "ServiceJob", "PhotoResults"} <= set(dir(facetag))
    with pytest.raises(AttributeError, match="no attribute 'lable'"):
        facetag.lable  # noqa: B018
