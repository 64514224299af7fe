"""Crops come back in the order in which they were put, whatever batches they were read in."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from vision.crop_reader import CropReader, Stopwatch
from vision.frozen import MOST_AT_ONCE


@pytest.fixture
def thread():
    with ThreadPoolExecutor(1) as executor:
        yield executor


def crop(value):
    return np.full((4, 4, 3), value, np.uint8)


def test_rows_are_those_of_the_outputs_and_batches_are_full(thread):
    batches = []

    def predict(crops):
        batches.append(len(crops))
        return {"age": crops[:, 0, 0, :1].astype(np.float32)}

    reader = CropReader(predict, size=4, thread=thread)
    values = iter(range(200))
    put = []
    for count in (3, 0, MOST_AT_ONCE, 1, 3 * MOST_AT_ONCE):
        crops = [next(values) for _ in range(count)]
        put += [
            (row, value) for row, value in zip(reader.put([*map(crop, crops)]), crops, strict=True)
        ]
    ages = reader.outputs()["age"]
    assert [(row, ages[row, 0]) for row, _ in put] == put
    assert batches[:-1] == [MOST_AT_ONCE] * (len(put) // MOST_AT_ONCE)
    assert sum(batches) == len(put)


def test_without_crops_there_are_no_rows(thread):
    def predict(crops):
        return {"age": np.zeros((len(crops), 1), np.float32)}

    reader = CropReader(predict, size=4, thread=thread)
    assert len(reader.put([])) == 0
    assert reader.outputs()["age"].shape == (0, 1)


def test_what_fails_in_the_thread_is_raised(thread):
    def predict(crops):
        raise MemoryError(f"{len(crops)} are too many")

    reader = CropReader(predict, size=4, thread=thread)
    reader.put([crop(1)])
    with pytest.raises(MemoryError, match="too many"):
        reader.outputs()


def test_a_stopwatch_adds_up_also_what_failed():
    spent = Stopwatch()
    assert spent.on("crop", max, 1, 2) == 2
    first = spent.ms["crop"]
    with pytest.raises(ValueError, match="empty"):
        spent.on("crop", max, [])
    assert spent.ms["crop"] > first > 0
    assert spent.ms["predict"] == 0
