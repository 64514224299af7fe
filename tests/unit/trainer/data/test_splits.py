"""Look-alikes on one side, by content alone."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from facetag.heads import HELD_OUT_IMAGES
from facetag.vision.difference_hash import difference_hash
from facetag_trainer.data.shards import Sample
from facetag_trainer.data.splits import (
    LOOK_ALIKE_BITS,
    PART_SHARES,
    Fold,
    group_look_alikes,
    hold_out,
    image_digests,
    join_records,
    look_alikes,
    read_held_out,
    record_held_out,
    split_folds,
    split_held_out,
)
from tests.unit.trainer.chips import make_chip


def samples_of(count):
    return [Sample(f"{index}.jpg", index.to_bytes(4, "big"), {}) for index in range(count)]


def random_hashes(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 32), np.uint8)


def with_bits_flipped(one, bits):
    flipped = np.unpackbits(one)
    flipped[:bits] ^= 1
    return np.packbits(flipped)


def recoded(photo, quality, scale):
    height, width = photo.shape[:2]
    image = Image.fromarray(photo).resize((round(width * scale), round(height * scale)))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize("photo", [data.astronaut(), data.coffee()], ids=["astronaut", "coffee"])
def test_a_photo_scaled_and_compressed_again_looks_alike(photo):
    hashes = np.stack([difference_hash(photo), difference_hash(recoded(photo, 60, 0.5))])
    assert hashes.shape == (2, 32)
    assert look_alikes(hashes[:1], hashes[1:]).tolist() == [True]


def test_different_photos_do_not_look_alike():
    photos = [data.astronaut(), data.coffee(), data.chelsea(), make_chip(1), make_chip(2)]
    hashes = np.stack([difference_hash(photo) for photo in photos])
    assert group_look_alikes(hashes) == [0, 1, 2, 3, 4]
    assert look_alikes(hashes, random_hashes(5)).tolist() == [False] * 5


def test_the_hash_reads_whether_brightness_rises_to_the_right():
    ramp = np.repeat(np.tile(np.arange(17, dtype=np.uint8) * 10, (16, 1))[..., None], 3, axis=2)
    assert difference_hash(ramp).tolist() == [255] * 32
    assert difference_hash(ramp[:, ::-1]).tolist() == [0] * 32


def test_the_distance_at_which_images_look_alike_is_exact():
    one = random_hashes(1)
    near = with_bits_flipped(one[0], LOOK_ALIKE_BITS)[None]
    far = with_bits_flipped(one[0], LOOK_ALIKE_BITS + 1)[None]
    assert look_alikes(one, near).tolist() == [True]
    assert look_alikes(one, far).tolist() == [False]


def test_of_no_images_none_has_a_look_alike():
    nothing = np.zeros((0, 32), np.uint8)
    assert look_alikes(nothing, np.zeros((3, 32), np.uint8)).dtype == bool


def test_groups_are_transitive():
    first = random_hashes(1)[0]
    second = with_bits_flipped(first, 12)
    third = np.packbits(np.roll(np.unpackbits(second), 0) ^ (np.arange(256) >= 244))
    assert not look_alikes(first[None], third[None])[0]
    assert group_look_alikes(np.stack([third, random_hashes(1, 9)[0], first, second])) == [
        0,
        1,
        0,
        0,
    ]


def test_look_alikes_are_on_one_side():
    hashes = random_hashes(400)
    hashes[200:] = [with_bits_flipped(one, 5) for one in hashes[:200]]
    sides = hold_out(samples_of(400), hashes, 0.3)
    assert np.array_equal(sides[:200], sides[200:])
    assert 0 < sides.sum() < 400


def test_sides_depend_on_neither_order_nor_names():
    samples, hashes = samples_of(300), random_hashes(300)
    hashes[100:150] = [with_bits_flipped(one, 9) for one in hashes[:50]]
    side_of = dict(
        zip((each.sha256 for each in samples), hold_out(samples, hashes, 0.2), strict=True)
    )
    order = np.random.default_rng(1).permutation(300)
    shuffled = [Sample("other", samples[index].data, {"age": 1}) for index in order]
    sides = hold_out(shuffled, hashes[order], 0.2)
    assert [side_of[each.sha256] for each in shuffled] == sides.tolist()


def test_more_images_do_not_move_those_that_were_there():
    samples, hashes = samples_of(300), random_hashes(300)
    assert np.array_equal(
        hold_out(samples, hashes, 0.1)[:200], hold_out(samples[:200], hashes[:200], 0.1)
    )


@pytest.mark.parametrize("share", [0.1, 0.35])
def test_the_share_is_about_what_was_asked_for(share):
    sides = hold_out(samples_of(3000), random_hashes(3000), share)
    assert sides.mean() == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("size", [2, 10])
def test_large_groups_of_look_alikes_are_held_out_no_more_than_single_images(size):
    hashes = np.repeat(random_hashes(1000), size, axis=0)
    hashes = np.stack([with_bits_flipped(one, place % size) for place, one in enumerate(hashes)])
    sides = hold_out(samples_of(len(hashes)), hashes, 0.1)
    assert sides.mean() == pytest.approx(0.1, abs=0.03)
    parts = split_held_out(hashes)
    for name, share in PART_SHARES.items():
        assert (parts == name).mean() == pytest.approx(share, abs=0.04)
    folds = np.bincount(split_folds(hashes, 5), minlength=6)[1:]
    assert folds / len(hashes) == pytest.approx(0.2, abs=0.04)


def test_a_group_is_held_out_only_if_its_least_member_alone_would_be():
    # So that a network that was fitted under the earlier rule meets none of its images again.
    samples, hashes = samples_of(600), random_hashes(600)
    hashes[300:] = [with_bits_flipped(one, 5) for one in hashes[:300]]
    sides = hold_out(samples, hashes, 0.3)
    for first, second in zip(range(300), range(300, 600), strict=True):
        least = min(samples[first].sha256, samples[second].sha256)
        if sides[first]:
            assert int(least[:8], 16) / 2**32 < 0.3


def test_parts_of_what_is_held_out_have_about_their_shares():
    parts = split_held_out(random_hashes(3000))
    assert set(PART_SHARES) == {"validation", "calibration", "holdout"}
    for name, share in PART_SHARES.items():
        assert (parts == name).mean() == pytest.approx(share, abs=0.03)


def test_parts_depend_on_content_alone_and_look_alikes_share_theirs():
    hashes = random_hashes(300)
    hashes[200:] = [with_bits_flipped(one, 7) for one in hashes[:100]]
    parts = split_held_out(hashes)
    assert np.array_equal(parts[:100], parts[200:])
    order = np.random.default_rng(1).permutation(300)
    assert np.array_equal(split_held_out(hashes[order]), parts[order])
    assert np.array_equal(split_held_out(hashes[100:200]), parts[100:200])


def test_parts_are_independent_of_what_holds_an_image_out():
    samples, hashes = samples_of(6000), random_hashes(6000)
    held_out = hold_out(samples, hashes, 0.2)
    inside = split_held_out(hashes)[held_out] == "holdout"
    assert inside.mean() == pytest.approx(PART_SHARES["holdout"], abs=0.04)


def test_folds_are_of_about_one_size():
    folds = split_folds(random_hashes(3000), 5)
    counts = np.bincount(folds, minlength=6)
    assert counts[0] == 0
    assert counts[1:] / 3000 == pytest.approx(0.2, abs=0.03)


def test_folds_depend_on_content_alone_and_look_alikes_share_theirs():
    hashes = random_hashes(300)
    hashes[200:] = [with_bits_flipped(one, 7) for one in hashes[:100]]
    folds = split_folds(hashes, 4)
    assert np.array_equal(folds[:100], folds[200:])
    order = np.random.default_rng(1).permutation(300)
    assert np.array_equal(split_folds(hashes[order], 4), folds[order])


def test_a_fold_is_read_as_it_is_written():
    assert Fold.parse("2/5") == Fold(2, 5)
    assert str(Fold(2, 5)) == "2/5"


@pytest.mark.parametrize("text", ["0/5", "6/5", "1/1", "2", "a/b", "1/2/3", ""])
def test_what_is_no_fold_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        Fold.parse(text)


@pytest.fixture
def hashes():
    return np.random.default_rng(1).integers(0, 256, (60, 32), np.uint8)


def test_the_record_says_the_part_of_each_image_that_is_held_out(hashes):
    held_out = np.arange(60) % 2 == 0
    record = record_held_out(hashes, held_out)
    assert set(record) == set(PART_SHARES)
    parts = read_held_out({HELD_OUT_IMAGES: record})
    shown = image_digests(hashes[held_out])
    assert [parts[digest] for digest in shown] == split_held_out(hashes[held_out]).tolist()
    assert parts.keys().isdisjoint(image_digests(hashes[~held_out]))


def test_the_order_of_the_images_does_not_change_the_record(hashes):
    held_out = np.arange(60) < 20
    turned = record_held_out(hashes[::-1], held_out[::-1])
    assert turned == record_held_out(hashes, held_out)


def test_records_of_two_rounds_are_joined(hashes):
    held_out = np.ones(30, bool)
    first, second = (record_held_out(some, held_out) for some in (hashes[:30], hashes[30:]))
    parts = read_held_out({HELD_OUT_IMAGES: join_records(first, second)})
    both = [read_held_out({HELD_OUT_IMAGES: one}) for one in (first, second)]
    assert parts == both[0] | both[1]
    assert len(parts) == 60


def test_a_bundle_without_a_record_says_nothing():
    assert read_held_out({}) is None
    assert read_held_out({HELD_OUT_IMAGES: {}}) == {}
