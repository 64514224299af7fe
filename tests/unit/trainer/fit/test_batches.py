"""Batches in an order that follows from seed and epoch alone."""

from dataclasses import replace

import numpy as np
import pytest

from facetag_trainer.data.augmentation import Jitter, centre_crop
from facetag_trainer.data.photo_style import NO_DONOR, make_transfer
from facetag_trainer.fit.batches import Feeder
from tests.unit.trainer.tiny_caches import write_tiny_cache

HEADS = ("age", "gender", "race")


def feeder_of(cache, **changes):
    return Feeder(
        cache, **{"heads": HEADS, "batch_size": 7, "seed": 1, "jitter": Jitter(), **changes}
    )


def assert_same(batches, others):
    batches, others = list(batches), list(others)
    assert len(batches) == len(others) > 0
    for one, other in zip(batches, others, strict=True):
        assert np.array_equal(one.images, other.images)
        for name in one.targets:
            assert np.array_equal(one.targets[name], other.targets[name])
            assert np.array_equal(one.weights[name], other.weights[name])


def ages(batches):
    return [age for batch in batches for age in batch.targets["age"].tolist()]


def test_an_epoch_is_the_same_whenever_it_is_read(tiny_cache):
    assert_same(feeder_of(tiny_cache).epoch(2), feeder_of(tiny_cache, threads=1).epoch(2))


def test_epochs_and_seeds_differ_in_order_and_jitter(tiny_cache):
    first = list(feeder_of(tiny_cache).epoch(0))
    for other in (feeder_of(tiny_cache).epoch(1), feeder_of(tiny_cache, seed=2).epoch(0)):
        other = list(other)
        assert ages(first) != ages(other)
    images = dict(zip(ages(first), np.concatenate([b.images for b in first]), strict=True))
    again = next(iter(feeder_of(tiny_cache).epoch(1)))
    both = [age for age in again.targets["age"] if age in images]
    assert both
    place = again.targets["age"].tolist().index(both[0])
    assert not np.array_equal(images[both[0]], again.images[place])


@pytest.mark.parametrize("first_step", [1, 3, 5])
def test_going_on_in_the_middle_gives_the_very_batches_that_were_left(tiny_cache, first_step):
    feeder = feeder_of(tiny_cache)
    assert_same(list(feeder.epoch(1))[first_step:], feeder.epoch(1, first_step))


def test_an_epoch_shows_no_sample_twice_and_none_that_is_held_out(tiny_cache):
    feeder = feeder_of(tiny_cache)
    seen = ages(feeder.epoch(0))
    assert feeder.steps == 48 // 7
    assert len(seen) == len(set(seen)) == feeder.steps * 7
    assert not set(seen) & set(tiny_cache.labels["age"][tiny_cache.validation].tolist())


def test_what_is_left_out_of_one_epoch_comes_in_another(tiny_cache):
    feeder = feeder_of(tiny_cache)
    seen = {age for epoch in range(12) for age in ages(feeder.epoch(epoch))}
    assert len(seen) == 48


def test_spread_samples_come_in_one_epoch_each_and_the_others_in_all(tiny_cache):
    training = np.flatnonzero(~tiny_cache.validation)
    spread = np.isin(np.arange(len(tiny_cache.validation)), training[:40])
    feeder = feeder_of(tiny_cache, batch_size=2, spread=spread, epochs=4)
    # Of 48 samples, 40 are spread over 4 epochs.
    assert feeder.steps == (8 + 10) // 2
    epochs = [
        np.concatenate([batch.indices for batch in feeder.epoch(epoch)]) for epoch in range(4)
    ]
    for epoch in epochs:
        assert sorted(set(epoch) & set(training[40:])) == training[40:].tolist()
    once = np.concatenate([epoch[spread[epoch]] for epoch in epochs])
    assert sorted(once) == training[:40].tolist()


def test_spread_samples_are_shown_beforehand_as_their_epoch_shows_them(tiny_cache):
    training = np.flatnonzero(~tiny_cache.validation)
    spread = np.isin(np.arange(len(tiny_cache.validation)), training[:40])
    feeder = feeder_of(tiny_cache, batch_size=2, spread=spread, epochs=4)
    asked = spread & (np.arange(len(spread)) % 3 > 0)
    before = {
        int(index): image
        for batch in feeder.shown_once(asked)
        for index, image in zip(batch.indices, batch.images, strict=True)
    }
    assert sorted(before) == np.flatnonzero(asked).tolist()
    fitted = [
        (int(index), image)
        for epoch in range(4)
        for batch in feeder.epoch(epoch)
        for index, image in zip(batch.indices, batch.images, strict=True)
        if asked[index]
    ]
    assert len(fitted) == len(before)
    assert all(np.array_equal(before[index], image) for index, image in fitted)


def test_only_samples_that_take_a_style_are_shown_in_it(tiny_cache):
    training = np.flatnonzero(~tiny_cache.validation)
    donors = np.full(len(tiny_cache.validation), NO_DONOR)
    donors[training[:20]] = training[40]
    usual = feeder_of(tiny_cache, batch_size=1)
    restyled = replace(usual, transfer=make_transfer(tiny_cache, donors, training[20:40]))
    changed = [
        one.indices[0]
        for one, other in zip(restyled.epoch(0), usual.epoch(0), strict=True)
        if not np.array_equal(one.images, other.images)
    ]
    assert sorted(changed) == training[:20].tolist()


def test_missing_labels_weigh_nothing(tiny_cache):
    for batch in feeder_of(tiny_cache).epoch(0):
        assert batch.weights["age"].all()
        for age, race, weight in zip(
            batch.targets["age"], batch.targets["race"], batch.weights["race"], strict=True
        ):
            label = tiny_cache.labels["race"][tiny_cache.labels["age"] == age][0]
            assert weight == (0 if np.isnan(label) else 1)
            assert race == (0 if np.isnan(label) else label)


def test_held_out_images_come_whole_in_order_and_without_jitter(tiny_cache):
    batches = list(feeder_of(tiny_cache).held_out())
    assert [len(batch.images) for batch in batches] == [7, 5]
    assert ages(batches) == tiny_cache.labels["age"][:12].tolist()
    assert np.array_equal(batches[1].images[0], centre_crop(tiny_cache.crops[7], tiny_cache.size))
    assert batches[0].images.dtype == np.float32


def test_held_out_images_are_not_even_surroundings(tmp_path):
    cache = write_tiny_cache(tmp_path / "cache")
    crops = np.zeros_like(cache.crops)
    crops[cache.validation] = 255
    jitter = replace(Jitter(), background=1, colour=0, cast=0, noise=0, covered=0)
    cache = replace(
        cache,
        crops=crops,
        inside=np.tile(np.float32([[19, 19], [21, 19], [21, 21], [19, 21]]), (60, 1, 1)),
    )
    shown = np.concatenate([b.images for b in feeder_of(cache, jitter=jitter).epoch(0)])
    # Half of the grounds are one colour of chance; the others come from black canvases.
    black = [image.max() < 60 for image in shown]
    assert 0.2 < np.mean(black) < 0.8
    assert not any(image.mean() > 240 for image in shown)


def test_a_set_smaller_than_a_batch_makes_one_batch(tiny_cache):
    batches = list(feeder_of(tiny_cache, batch_size=100).epoch(0))
    assert [len(batch.images) for batch in batches] == [48]


def test_only_the_heads_asked_for_are_fed(tiny_cache):
    batch = next(iter(feeder_of(tiny_cache, heads=("gender",)).epoch(0)))
    assert list(batch.targets) == list(batch.weights) == ["gender"]
