import os
import tarfile
import unicodedata
from pathlib import Path, PurePosixPath

import pytest

from facetag.inputs.photo_files import (
    LocalPhoto,
    collect_photos,
    no_photos,
    photo_below,
    shown_name,
)


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def names_in(folder, **options):
    return [photo.name for photo in collect_photos(folder, **options).photos]


def test_photos_come_in_the_order_of_their_sorted_paths(tmp_path):
    touch(tmp_path, "b/a.jpg", "b c/a.jpg", "a.jpg", "b.jpg", "Z.jpg", "b/ä.jpg", "b/a a.jpg")
    assert names_in(tmp_path) == sorted(
        ["b/a.jpg", "b c/a.jpg", "a.jpg", "b.jpg", "Z.jpg", "b/ä.jpg", "b/a a.jpg"]
    )


def test_every_file_with_an_image_extension_is_a_photo_and_others_are_counted(tmp_path):
    touch(tmp_path, "a.JPG", "b.TiFf", "c.cr2", "d.svg", "e.heic", "f.txt", "g.mp4", "jpg", ".jpg")
    collection = collect_photos(tmp_path)
    assert [photo.name for photo in collection.photos] == [
        "a.JPG",
        "b.TiFf",
        "c.cr2",
        "d.svg",
        "e.heic",
    ]
    assert collection.skipped == 4


def test_names_keep_their_unicode_form(tmp_path):
    composed = unicodedata.normalize("NFC", "é.jpg")
    decomposed = unicodedata.normalize("NFD", "é.jpg")
    touch(tmp_path, composed, decomposed)
    assert names_in(tmp_path) == sorted([composed, decomposed])


def test_names_that_are_no_utf8_stay_apart_and_lead_back_to_the_file(tmp_path):
    raws = [b"caf\xe9.jpg", b"caf\xea.jpg"]
    for raw in raws:
        (tmp_path / os.fsdecode(raw)).write_bytes(raw)
    photos = collect_photos(tmp_path).photos
    assert [os.fsencode(photo.name) for photo in photos] == raws
    assert [photo.path.read_bytes() for photo in photos] == raws


def test_hidden_photos_are_photos_unless_they_are_left_out(tmp_path):
    touch(tmp_path, "a.jpg", ".b.jpg", ".trash/c.jpg")
    assert names_in(tmp_path) == [".b.jpg", ".trash/c.jpg", "a.jpg"]
    assert names_in(tmp_path, hidden=False) == ["a.jpg"]


def test_links_are_followed_and_loops_are_no_obstacle(tmp_path):
    touch(tmp_path / "album", "a.jpg", "sub/b.jpg")
    touch(tmp_path, "elsewhere/c.jpg")
    (tmp_path / "album" / "sub" / "up").symlink_to(tmp_path / "album")
    (tmp_path / "album" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "album" / "twice.jpg").symlink_to(tmp_path / "album" / "a.jpg")
    assert names_in(tmp_path / "album") == ["a.jpg", "linked/c.jpg", "sub/b.jpg", "twice.jpg"]


def test_what_cannot_be_read_is_a_photo_with_a_fault(tmp_path):
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "gone.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    broken, pipe = collect_photos(tmp_path).photos
    assert "No such file" in broken.fault
    assert "not a regular file" in pipe.fault


@pytest.mark.parametrize("suffix", [".jpg", ".tar"])
@pytest.mark.parametrize(
    ("stem", "reason"), [("b" * 300, "File name too long"), ("b", "No such file or directory")]
)
def test_what_was_given_and_is_not_there_is_a_photo_with_a_fault(tmp_path, stem, reason, suffix):
    photo, missing = tmp_path / "a.jpg", tmp_path / (stem + suffix)
    photo.write_bytes(b"x")
    for given in ([missing], [photo, missing]):
        faults = {one.path: one.fault for one in collect_photos(*given).photos}
        assert faults == dict.fromkeys(given) | {missing: f"The file cannot be read: {reason}."}


def test_a_folder_named_as_a_photo_is_a_folder(tmp_path):
    touch(tmp_path, "album.jpg/a.jpg")
    assert names_in(tmp_path) == ["album.jpg/a.jpg"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_closed_folder_is_named(tmp_path):
    touch(tmp_path, "a.jpg", "closed/b.jpg")
    (tmp_path / "closed").chmod(0)
    collection = collect_photos(tmp_path)
    (tmp_path / "closed").chmod(0o700)
    assert collection.closed_folders == ["closed"]
    assert not collection.is_whole


def test_a_folder_without_photos_says_what_it_holds(tmp_path):
    assert "it is empty" in no_photos(collect_photos(tmp_path))
    touch(tmp_path, "a.txt")
    assert "1 other file" in no_photos(collect_photos(tmp_path))
    touch(tmp_path, "shard-0.tar")
    assert no_photos(collect_photos(tmp_path)).endswith("as in FOLDER/*.tar.")


def test_a_folder_without_photos_is_not_called_empty_if_one_in_it_is_closed(tmp_path):
    found = collect_photos(tmp_path)
    assert "(it is empty)" in no_photos(found)
    found.closed_folders.append("closed")
    assert "(1 folder that cannot be listed)" in no_photos(found)


def test_the_title_of_a_folder_is_text_that_can_be_written(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    assert collect_photos(folder).title == "caf\ufffd"


def test_a_name_of_results_leads_nowhere_but_below_the_folder(tmp_path):
    assert photo_below(tmp_path, "sub/a.jpg") == tmp_path / "sub" / "a.jpg"
    for name in ("../a.jpg", "sub/../../a.jpg", "/etc/a.jpg"):
        assert photo_below(tmp_path, name) is None


def test_photos_without_an_extension_are_told_by_their_first_bytes(tmp_path):
    touch(tmp_path, "a.jpg", "notes", "film.mp4", ".hidden")
    (tmp_path / "IMG_0001").write_bytes(b"\xff\xd8\xff\xe0 and so on")
    (tmp_path / "old.bak").write_bytes(b"\0\0\0\x18ftypheic and so on")
    os.mkfifo(tmp_path / "pipe")
    assert names_in(tmp_path) == ["a.jpg"]
    found = collect_photos(tmp_path, sniff=True, hidden=False)
    assert [photo.name for photo in found.photos] == ["IMG_0001", "a.jpg", "old.bak"]
    assert found.describe_skipped() == (
        "4 other files skipped (2 without extension, 1 .mp4, 1 hidden)"
    )


def test_a_link_out_of_the_folder_is_followed_to_images_alone(tmp_path):
    touch(tmp_path / "album", "a.jpg")
    (tmp_path / "album" / "passwords.jpg").symlink_to("/etc/passwd")
    (tmp_path / "album" / "photo.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    (tmp_path / "elsewhere.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    _, passwords, photo = collect_photos(tmp_path / "album").photos
    assert "no image: not sent" in passwords.fault
    assert photo.fault is None
    # A file that is named itself is meant.
    assert collect_photos(tmp_path / "album" / "passwords.jpg").photos[0].fault is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to other users")
def test_a_link_of_another_user_is_not_followed_to_what_is_not_theirs(tmp_path):
    touch(tmp_path / "album", "a.jpg")
    touch(tmp_path, "secret.jpg", "secrets/b.jpg", "theirs.jpg")
    links = {"file.jpg": "secret.jpg", "folder": "secrets", "own.jpg": "theirs.jpg"}
    for name, target in links.items():
        (tmp_path / "album" / name).symlink_to(tmp_path / target)
        os.lchown(tmp_path / "album" / name, 12345, 12345)
    (tmp_path / "theirs.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    os.chown(tmp_path / "theirs.jpg", 12345, 12345)
    found = collect_photos(tmp_path / "album")
    assert {photo.name: photo.fault for photo in found.photos} == {
        "a.jpg": None,
        "file.jpg": "The link was made by another user: it is not followed.",
        "own.jpg": None,
    }
    assert found.foreign_links == ["folder"]


@pytest.mark.parametrize(
    "name",
    ["a.jpg", "a.b.JPG", ".jpg", "a.", "..jpg", "x.y/.b.png", "a", "é.TIFF", "a.b/c", "a b.c d"],
)
def test_the_suffix_of_a_photo_is_that_of_its_path(name):
    assert LocalPhoto(name, Path()).suffix == PurePosixPath(name).suffix.lower()


@pytest.mark.parametrize("folder", ["/", "/a", "/a/", ".", "..", "a/b", "a//b/"])
def test_the_name_of_a_photo_begins_below_the_folder(folder):
    assert shown_name(Path(folder) / "sub" / "c.jpg", Path(folder)) == "sub/c.jpg"


def test_a_name_in_a_tar_loses_its_zero_characters(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("a.jpg")
        member.pax_headers = {"path": "a\0b.jpg"}
        tar.addfile(member)
    assert [photo.name for photo in collect_photos(tmp_path / "a.tar").photos] == ["ab.jpg"]
