import hashlib
import os
from dataclasses import replace

from facetag.inputs.photo_files import LocalPhoto, collect_photos
from facetag_cli.upload.hash_cache import HashCache

LONG_AGO_NS = 1_500_000_000 * 10**9


def photo_of(tmp_path, data=b"one", mtime_ns=LONG_AGO_NS):
    path = tmp_path / "album" / "a.jpg"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    os.utime(path, ns=(mtime_ns, mtime_ns))
    return collect_photos(path.parent).photos[0]


def digest_of(data):
    return hashlib.sha256(data).hexdigest()


def test_a_photo_is_hashed(tmp_path):
    with HashCache(None) as hashes:
        assert hashes.hash_photos([photo_of(tmp_path)]) == [digest_of(b"one")]


def test_a_second_run_does_not_read_the_photo(tmp_path):
    photo = photo_of(tmp_path)
    with HashCache(tmp_path / "cache" / "hashes") as hashes:
        hashes.hash_photos([photo])
    photo.path.unlink()
    with HashCache(tmp_path / "cache" / "hashes") as hashes:
        assert hashes.hash_photos([photo]) == [digest_of(b"one")]


def test_a_photo_of_another_time_is_hashed_again(tmp_path):
    with HashCache(tmp_path / "hashes") as hashes:
        hashes.hash_photos([photo_of(tmp_path)])
        changed = photo_of(tmp_path, b"two", LONG_AGO_NS + 1)
        assert hashes.hash_photos([changed]) == [digest_of(b"two")]


def test_a_photo_that_has_just_changed_is_not_remembered(tmp_path):
    photo = photo_of(tmp_path)
    now_ns = int(photo.path.stat().st_ctime_ns)
    os.utime(photo.path, ns=(now_ns, now_ns))
    fresh = replace(photo, mtime_ns=now_ns)
    with HashCache(tmp_path / "hashes") as hashes:
        hashes.hash_photos([fresh])
        photo.path.write_bytes(b"two")
        assert hashes.hash_photos([fresh]) == [digest_of(b"two")]


def test_a_photo_that_is_gone_is_reported_and_the_others_are_hashed(tmp_path):
    gone = LocalPhoto("gone.jpg", tmp_path / "gone.jpg")
    with HashCache(tmp_path / "hashes") as hashes:
        error, digest = hashes.hash_photos([gone, photo_of(tmp_path)])
    assert isinstance(error, FileNotFoundError)
    assert digest == digest_of(b"one")


def test_a_cache_that_is_none_is_no_obstacle(tmp_path):
    (tmp_path / "hashes").write_bytes(b"this is no database, and longer than its header" * 9)
    with HashCache(tmp_path / "hashes") as hashes:
        assert hashes.hash_photos([photo_of(tmp_path)]) == [digest_of(b"one")]
