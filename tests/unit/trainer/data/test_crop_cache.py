"""The cache holds what the service would cut, and is marked whole only at its end."""

import json
import threading

import numpy as np
import pytest

from facetag.settings import Settings
from facetag.vision.crop import BoxCrop, UprightCrop, cut_square, read_crop_rule, whole_image
from facetag.vision.detection import Detection
from facetag.vision.mtcnn.detector import Detector, largest_face
from facetag.vision.network_loader import compile_cascade
from facetag_trainer.data.augmentation import Jitter, centre_crop
from facetag_trainer.data.crop_cache import (
    cache_key,
    cut_down,
    find_square,
    in_fold,
    leave_out,
    open_cache,
    write_cache,
)
from facetag_trainer.data.shards import Sample
from facetag_trainer.data.splits import VALIDATION, Fold, split_held_out
from facetag_trainer.fit.batches import Feeder
from facetag_trainer.fit.loop import _score
from tests.unit.trainer.chips import chip_members, encode, make_chip, waves
from tests.unit.trainer.tiny_caches import write_tiny_cache

SIZE = 64
RULE = UprightCrop()
SETTINGS = Settings()
FACELESS = waves(np.random.default_rng(3), 120)
PHOTOS = [make_chip(1), FACELESS, make_chip(2)]
SAMPLES = [
    Sample("a.jpg", encode(PHOTOS[0]), {"age": 30, "gender": 1, "race": 4}),
    Sample("b.jpg", encode(PHOTOS[1]), {"race": 0}),
    Sample("c.jpg", encode(PHOTOS[2]), {"age": 61}),
]


class Stopped(Exception):
    pass


def write(folder, *, samples=SAMPLES, on_progress=lambda done: None):
    write_cache(
        folder,
        samples,
        hashes=np.arange(32 * len(samples), dtype=np.uint8).reshape(-1, 32),
        validation=np.arange(len(samples)) == 1,
        rule=RULE,
        size=SIZE,
        settings=SETTINGS,
        facts={"shards": {"a.tar": "00"}, "dropped": {}},
        on_progress=on_progress,
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache") / "one"
    write(folder)
    return open_cache(folder)


@pytest.fixture(scope="module")
def squares():
    found = Detector(compile_cascade(), min_face=0.04, confidence=0.9).detect(PHOTOS)
    assert [len(faces) for faces in found] == [1, 0, 1]
    return [
        RULE.square(largest_face(faces)) if faces else whole_image(photo)
        for photo, faces in zip(PHOTOS, found, strict=True)
    ]


def test_the_centre_of_a_canvas_is_the_crop_that_the_service_cuts(cache, squares):
    assert cache.size == SIZE
    assert cache.crops.shape == (3, 80, 80, 3)
    for photo, square, canvas in zip(PHOTOS, squares, cache.crops, strict=True):
        crop = cut_square(photo, square, SIZE)
        assert np.abs(centre_crop(canvas, SIZE).astype(int) - crop).mean() < 2.5


def test_the_corners_say_where_the_image_lies_on_the_canvas(cache, squares):
    for photo, square, corners in zip(PHOTOS, squares, cache.inside, strict=True):
        across, down = corners[1] - corners[0], corners[3] - corners[0]
        per_pixel = 80 / (square.side * 1.25)
        assert np.hypot(*across) == pytest.approx(photo.shape[1] * per_pixel, rel=1e-4)
        assert np.hypot(*down) == pytest.approx(photo.shape[0] * per_pixel, rel=1e-4)
        # The photo lies on the canvas turned back by what the square is turned.
        turn = np.degrees(np.arctan2(across[1], across[0]))
        assert turn == pytest.approx(-square.turn, abs=0.01)
        centre = (
            corners[0] + (across * square.x / photo.shape[1]) + (down * square.y / photo.shape[0])
        )
        assert centre == pytest.approx([40, 40], abs=0.01)
    # Without a face the whole image is the crop, and the margin lies outside.
    assert cache.inside[1].tolist() == [[8, 8], [72, 8], [72, 72], [8, 72]]


def test_labels_that_are_missing_are_nan(cache):
    assert cache.labels["age"].tolist()[::2] == [30, 61]
    assert np.isnan(cache.labels["age"][1])
    assert np.isnan(cache.labels["gender"]).tolist() == [False, True, True]
    assert cache.labels["race"].tolist()[:2] == [4, 0]
    assert cache.validation.tolist() == [False, True, False]
    assert cache.hashes[2, 0] == 64


def test_the_facts_count_images_and_those_without_a_face(cache):
    assert cache.facts["n"] == 3
    assert cache.facts["faceless"] == 1
    assert read_crop_rule(cache.facts["crop"]) == RULE
    assert cache.facts["shards"] == {"a.tar": "00"}


def test_a_cache_is_marked_whole_only_at_its_end(tmp_path):
    def stop(done):
        assert done == 3
        raise Stopped

    with pytest.raises(Stopped):
        write(tmp_path, on_progress=stop)
    assert (tmp_path / "crops.npy").exists()
    with pytest.raises(FileNotFoundError):
        open_cache(tmp_path)
    write(tmp_path)
    assert open_cache(tmp_path).facts["n"] == 3


def test_two_writers_of_one_cache_make_it_once(tmp_path):
    # The second one would empty the crops that the first one has cut out, while it fits on them.
    others, cut_again = [], []

    def begin_another(_done):
        others.append(
            threading.Thread(
                target=write, args=(tmp_path,), kwargs={"on_progress": cut_again.append}
            )
        )
        others[0].start()

    write(tmp_path, on_progress=begin_another)
    first = open_cache(tmp_path)
    others[0].join()
    assert not cut_again
    assert (first.crops.reshape(3, -1).std(axis=1) > 5).all()


def test_progress_counts_every_image_over_several_batches(tmp_path):
    seen = []
    members = [Sample(name, data, {"age": 1}) for name, data in chip_members(70)]
    write(tmp_path, samples=members, on_progress=seen.append)
    assert seen == [64, 70]
    cache = open_cache(tmp_path)
    assert len(cache.crops) == 70
    assert cache.facts["faceless"] == 0
    assert (cache.crops.reshape(70, -1).std(axis=1) > 5).all()


def test_a_caches_name_follows_from_all_that_it_is_made_of(monkeypatch):
    names = {
        cache_key(["a", "b"], RULE, 160, 0.1, SETTINGS),
        cache_key(["b", "a"], RULE, 160, 0.1, SETTINGS),
        cache_key(["a"], RULE, 160, 0.1, SETTINGS),
        cache_key(["a", "b"], BoxCrop(), 160, 0.1, SETTINGS),
        cache_key(["a", "b"], RULE, 128, 0.1, SETTINGS),
        cache_key(["a", "b"], RULE, 160, 0.2, SETTINGS),
    }
    assert len(names) == 6
    assert cache_key(["a", "b"], UprightCrop(), 160, 0.1, SETTINGS) in names
    for detection in ({"min_face": 0.1}, {"face_confidence": 0.75}):
        names.add(cache_key(["a", "b"], RULE, 160, 0.1, Settings(**detection)))
    monkeypatch.setattr("facetag.vision.mtcnn.boxes.BOXES", 0)
    names.add(cache_key(["a", "b"], RULE, 160, 0.1, SETTINGS))
    assert len(names) == 9


def test_the_cache_names_no_folder_of_the_machine(cache, tmp_path):
    write(tmp_path)
    assert str(tmp_path) not in json.dumps(open_cache(tmp_path).facts)


def hashes_of(cache, *, validation):
    return {one.tobytes() for one in cache.hashes[cache.validation == validation]}


def test_about_the_asked_share_of_the_training_samples_stays(tmp_path):
    cache = write_tiny_cache(tmp_path / "cache", count=600, held_out=60)
    assert 110 < (~cut_down(cache, 0.25).validation).sum() < 160
    assert (~cut_down(cache, 1.0).validation).sum() == 540


def test_a_smaller_share_is_a_part_of_a_larger_one(tmp_path):
    cache = write_tiny_cache(tmp_path / "cache", count=600, held_out=60)
    smaller, larger = (hashes_of(cut_down(cache, part), validation=False) for part in (0.2, 0.5))
    assert smaller < larger


def test_the_order_of_the_samples_decides_nothing(tmp_path):
    cache = write_tiny_cache(tmp_path / "cache", count=100, held_out=20)
    order = np.random.default_rng(3).permutation(100)
    other = write_tiny_cache(tmp_path / "other", count=100, held_out=20)
    other.hashes[:], other.validation[:] = cache.hashes[order], cache.validation[order]
    one, two = cut_down(cache, 0.4), cut_down(other, 0.4)
    for validation in (False, True):
        assert hashes_of(one, validation=validation) == hashes_of(two, validation=validation)


def test_what_calibrates_and_judges_is_left_out(tmp_path):
    cache = write_tiny_cache(tmp_path / "cache", count=200, held_out=80)
    part = split_held_out(cache.hashes[cache.validation])
    cut = cut_down(cache, 0.5)
    assert 0 < cut.validation.sum() == (part == VALIDATION).sum() < 80


def test_scores_are_those_of_the_whole_cache(tmp_path):
    cache = write_tiny_cache(tmp_path / "cache", count=200, held_out=80)
    cut = cut_down(cache, 0.5)
    outputs = {"age": np.random.default_rng(0).uniform(1, 80, (200, 1)).astype(np.float32)}
    places = [np.flatnonzero((cache.hashes == one).all(axis=1))[0] for one in cut.hashes]
    whole = _score({"age": outputs["age"][cache.validation]}, cache)
    small = _score({"age": outputs["age"][places][cut.validation]}, cut)
    assert small == whole


def test_all_that_is_held_out_stays_where_nothing_of_it_validates(tmp_path):
    cache = write_tiny_cache(tmp_path / "cache", held_out=20)
    others = split_held_out(cache.hashes[:20]) != VALIDATION
    cache.validation[:20] = others
    assert cut_down(cache, 0.5).validation.sum() == others.sum()


def test_crops_labels_and_hashes_stay_with_one_another(tmp_path):
    cache = write_tiny_cache(tmp_path / "cache")
    cut = cut_down(cache, 0.5)
    assert len(cut.crops) == len(cut.hashes) == len(cut.inside) == len(cut.labels["age"]) < 60
    for index in range(len(cut.crops)):
        (place,) = np.flatnonzero((cache.hashes == cut.hashes[index]).all(axis=1))
        assert np.array_equal(cut.crops[index], cache.crops[place])
        assert cut.labels["age"][index] == cache.labels["age"][place]


def test_a_cut_cache_feeds_a_fit(tmp_path):
    cut = cut_down(write_tiny_cache(tmp_path / "cache"), 0.5)
    feeder = Feeder(cut, ("age",), 8, 1, Jitter())
    batches = list(feeder.epoch(0))
    assert len(batches) == feeder.steps == (~cut.validation).sum() // 8
    assert all(batch.images.shape == (8, 32, 32, 3) for batch in batches)


def test_a_fold_is_left_out_of_what_is_fitted_on_alone(tmp_path):
    cache = write_tiny_cache(tmp_path / "cache")
    left = leave_out(cache, Fold(2, 3))
    members = in_fold(cache, Fold(2, 3))
    assert 0 < members.sum() < 48
    assert not members[cache.validation].any()
    assert hashes_of(left, validation=True) == hashes_of(cache, validation=True)
    gone = hashes_of(cache, validation=False) - hashes_of(left, validation=False)
    assert gone == {one.tobytes() for one in cache.hashes[members]}


def test_every_training_sample_is_in_one_fold(tmp_path):
    cache = write_tiny_cache(tmp_path / "cache")
    folds = [in_fold(cache, Fold(number, 3)) for number in (1, 2, 3)]
    assert np.array_equal(np.sum(folds, axis=0), ~cache.validation)


def face(x1, y1, x2, y2):
    """A face in a box, with landmarks that lie as in a level one."""
    wide, high = x2 - x1, y2 - y1
    places = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
    landmarks = tuple((x1 + x * wide, y1 + y * high) for x, y in places)
    return Detection((x1, y1, x2, y2), 0.99, landmarks)


LARGE = np.zeros((600, 800, 3), np.uint8)


@pytest.mark.parametrize(
    "box",
    [
        (5000.0, 5000.0, 10.0, 10.0),
        (-1e9, 0.0, 5.0, 5.0),
        (0.0, 0.0, 1e300, 1e300),
        (0.0, 0.0, 1.0, 1e9),
        # As shares of the photo's sides, or as corners.
        (0.1, 0.2, 0.3, 0.4),
        (500.0, 300.0, 900.0, 700.0),
    ],
)
def test_a_box_that_is_not_in_the_photo_counts_as_none(box):
    adult, rule = face(100, 100, 300, 340), UprightCrop()
    sample = Sample("a.jpg", b"", {"age": 4.0}, box)
    assert find_square(sample, LARGE, [adult], rule) == rule.square(adult)
    assert find_square(sample, LARGE, [], rule) is None


def test_labels_are_of_the_largest_face_unless_a_box_says_whose_they_are():
    adult, child = face(100, 100, 300, 340), face(340, 300, 390, 360)
    rule, nobody = UprightCrop(), Sample("a.jpg", b"", {"age": 4.0})
    boxed = Sample("a.jpg", b"", {"age": 4.0}, (338.0, 302.0, 52.0, 60.0))
    assert find_square(nobody, LARGE, [child, adult], rule) == rule.square(adult)
    assert find_square(boxed, LARGE, [adult, child], rule) == rule.square(child)
    assert find_square(nobody, LARGE, [], rule) is None


def test_a_labelled_face_that_the_detector_misses_is_cut_by_its_box_and_no_neighbour_for_it():
    child = face(340, 300, 390, 360)
    missed = Sample("a.jpg", b"", {"age": 40.0}, (100.0, 100.0, 200.0, 240.0))
    for faces in ([child], []):
        square = find_square(missed, LARGE, faces, UprightCrop())
        assert square == BoxCrop().square(face(100, 100, 300, 340))
