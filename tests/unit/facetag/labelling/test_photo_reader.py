import threading
from dataclasses import replace

import numpy as np
import pytest

from facetag.errors import (
    ErrorCode,
    ImageUnreadable,
    ObjectMissing,
    ObjectRefused,
    ServiceUnavailable,
    SettingsInvalid,
    StorageUnavailable,
)
from facetag.labelling.outcomes import ImageToLabel, Outcome
from facetag.labelling.photo_reader import REFUSALS, Photo, PhotoReader, Thumbnails, Unread
from facetag.storage.object_keys import thumbnail_key
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.photo import whole_picture
from tests.faults.bad_images import png


class Shelf:
    """Objects by key; an exception in the place of bytes is raised."""

    def __init__(self, **objects):
        self.objects = objects
        self.asked = []
        self.kept = {}
        self.full = False

    def fetch(self, _bucket, key, _max_bytes):
        self.asked.append(key)
        found = self.objects[key]
        if isinstance(found, Exception):
            raise found
        return found

    def put(self, key, data, content_type):
        if self.full:
            raise StorageUnavailable("no room")
        self.kept[key] = (data, content_type)


def image(number, key, suspicion=0):
    return ImageToLabel(number, number, "b", key, key, suspicion)


def decode(data):
    if data == b"broken":
        raise ImageUnreadable(ErrorCode.TRUNCATED, "cut off")
    if data == b"bug":
        raise ZeroDivisionError
    return whole_picture(np.zeros((10, 20, 3), np.uint8), 100)


@pytest.fixture
def make_reader():
    readers = []

    def make(shelf, decode=decode, **options):
        limits = {"slots": CpuSlots.for_lanes(2), "max_bytes": 100, "threads": 2}
        readers.append(PhotoReader(shelf, decode, **limits | options))
        return readers[-1]

    yield make
    for reader in readers:
        reader.close()


def test_images_are_read_in_order_with_their_milliseconds(make_reader):
    results = make_reader(Shelf(a=b"1", b=b"2")).read([image(1, "a"), image(2, "b")])
    assert [result.image.id for result in results] == [1, 2]
    assert set(results[0].stage_ms) == {"fetch", "decode"}
    assert results[0].picture.decoded.shape == (10, 20, 3)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"broken", ErrorCode.TRUNCATED),
        (ObjectMissing("gone"), ErrorCode.OBJECT_MISSING),
        (ImageUnreadable(ErrorCode.TOO_MANY_BYTES, "large"), ErrorCode.TOO_MANY_BYTES),
        (b"bug", ErrorCode.INTERNAL_ERROR),
    ],
)
def test_a_bad_image_fails_with_its_code_and_leaves_its_neighbours_alone(
    make_reader, content, code
):
    reader = make_reader(Shelf(good=b"1", bad=content, fine=b"2"))
    good, bad, fine = reader.read([image(1, "good"), image(2, "bad"), image(3, "fine")])
    assert isinstance(good, Photo)
    assert isinstance(fine, Photo)
    assert isinstance(bad, Outcome)
    assert bad.error[0] == code


@pytest.mark.parametrize(
    "fault",
    [StorageUnavailable("down"), SettingsInvalid("no key"), ServiceUnavailable("no decoder")],
)
def test_a_fault_of_the_storage_is_not_held_against_the_image(make_reader, fault):
    first = image(1, "a")
    unread = Unread(first, away=True, reason=str(fault))
    assert make_reader(Shelf(a=fault)).read([first]) == [unread]


def test_nothing_more_is_fetched_once_stopping(make_reader):
    shelf = Shelf(a=b"1")
    first = image(1, "a")
    assert make_reader(shelf).read([first], stopping=lambda: True) == [Unread(first, away=False)]
    assert shelf.asked == []


def test_what_does_not_fit_into_memory_is_left_unread(make_reader):
    """One thread at work at a time, so that the first photo is in memory when the rest is due."""
    gate = threading.Lock()

    class OneByOne(Shelf):
        def fetch(self, *arguments):
            with gate:
                return super().fetch(*arguments)

    images = [image(number, "a") for number in range(50)]
    reader = make_reader(OneByOne(a=b"1"), max_pixels_ahead=200)
    results = reader.read(images)
    photos = [result for result in results if isinstance(result, Photo)]
    assert 1 <= len(photos) <= 4
    assert all(not result.away for result in results if isinstance(result, Unread))
    assert [type(one) for one in reader.read(images[:1])] == [Photo]


def test_a_suspect_goes_to_the_decoder_for_suspects(make_reader):
    reader = make_reader(
        Shelf(a=b"1"), decode_suspect=lambda _: whole_picture(np.ones((1, 1, 3), np.uint8), 9)
    )
    ordinary, suspect = reader.read([image(1, "a"), image(2, "a", suspicion=1)])
    assert ordinary.picture.decoded.shape == (10, 20, 3)
    assert suspect.picture.decoded.shape == (1, 1, 3)


def test_a_refused_object_is_tried_for_minutes_before_its_image_fails(make_reader):
    reader = make_reader(Shelf(a=ObjectRefused("not yours")))
    early, late = image(1, "a"), replace(image(2, "a"), releases=REFUSALS)
    first, second = reader.read([early, late])
    assert first == Unread(early, away=True, reason="not yours")
    assert isinstance(second, Outcome)
    assert second.error[0] == ErrorCode.OBJECT_REFUSED


def test_what_may_take_much_memory_is_decoded_where_memory_is_limited(make_reader):
    guarded = []

    def decode_guarded(data):
        guarded.append(data)
        return decode(data)

    bomb, small = png(10_000, 10_000), png(100, 100)
    reader = make_reader(Shelf(a=bomb, b=small), decode_suspect=decode_guarded)
    reader.read([image(1, "a"), image(2, "b")])
    assert guarded == [bomb]


def test_a_thumbnail_of_each_photo_is_kept_for_its_tenant(make_reader):
    shelf = Shelf(a=b"1", b=b"broken")
    reader = make_reader(
        shelf, thumbnails=Thumbnails(lambda photo: b"%d wide" % photo.width, shelf.put)
    )
    reader.read([image(1, "a"), image(2, "b")], tenant_id="t")
    assert shelf.kept == {thumbnail_key("t", "b", "a"): (b"20 wide", "image/jpeg")}
    shelf.kept.clear()
    reader.read([image(1, "a")])
    assert shelf.kept == {}


def test_a_photo_is_labelled_although_its_thumbnail_could_not_be_kept(make_reader):
    shelf = Shelf(a=b"1")
    shelf.full = True
    reader = make_reader(shelf, thumbnails=Thumbnails(lambda _: b"small", shelf.put))
    (found,) = reader.read([image(1, "a")], tenant_id="t")
    assert isinstance(found, Photo)


def test_an_object_that_a_job_may_not_name_is_not_even_fetched(make_reader):
    shelf = Shelf(a=b"1", b=b"2")
    reader = make_reader(shelf, may_read=lambda image: image.key == "a")
    results = reader.read([image(1, "a"), image(2, "b")])
    assert results[1].error[0] == ErrorCode.OBJECT_REFUSED
    assert shelf.asked == ["a"]
