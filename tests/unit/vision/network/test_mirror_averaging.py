"""Whose mirror image is read, and that it is the mean that comes of it."""

import numpy as np
import pytest

from facetag.vision.network.mirror_averaging import Mirroring

GENDER = np.array([[0.95], [0.6], [0.02], [0.3]], np.float32)
RACE = np.array([[0.5, 0.5], [0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], np.float32)
IMAGES = np.arange(4 * 2 * 3 * 3, dtype=np.uint8).reshape(4, 2, 3, 3)


AGE = np.array([[10.0], [20.0], [30.0], [40.0]], np.float32)


class Network:
    """Say of known images what stands above, and that any other is 50 years old, or anything."""

    def __init__(self):
        self.asked = []

    def __call__(self, images):
        self.asked.append(images)
        if len(images) == len(IMAGES) and np.array_equal(images, IMAGES):
            return {"age": AGE, "gender": GENDER, "race": RACE}
        count = len(images)
        return {
            "age": np.full((count, 1), 50.0),
            "gender": np.full((count, 1), 0.5),
            "race": np.full((count, 2), 0.5),
        }


def read(mirror):
    network = Network()
    return network, mirror.read(network, IMAGES)


def less_sure(probabilities, rows):
    """Halve the logits in these rows, which makes odds their square roots."""
    expected = probabilities.copy()
    raised = np.sqrt(expected[rows])
    expected[rows] = raised / raised.sum(axis=1, keepdims=True)
    return expected


@pytest.mark.parametrize(
    ("mirror", "rows"),
    [
        (Mirroring(), []),
        (Mirroring(always=True), [0, 1, 2, 3]),
        (Mirroring(below={"gender": 0.75}), [1, 3]),
        (Mirroring(below={"race": 0.75}), [0, 3]),
        (Mirroring(below={"gender": 0.65, "race": 0.6}), [0, 1]),
        (Mirroring(below={"age of another network": 0.9}), []),
    ],
)
def test_mirror_images_are_read_of_whom_the_bounds_say_and_the_mean_is_taken(mirror, rows):
    network, outputs = read(mirror)
    both = less_sure(np.concatenate([1 - GENDER, GENDER], axis=1), rows)
    assert np.allclose(outputs["gender"], both[:, 1:], atol=1e-6)
    assert np.allclose(outputs["race"], less_sure(RACE, rows), atol=1e-6)
    ages = AGE.copy()
    ages[rows] = (ages[rows] + 50) / 2
    assert np.allclose(outputs["age"], ages)
    assert len(network.asked) == 1 + bool(rows)
    if rows:
        assert np.array_equal(network.asked[1], IMAGES[rows][:, :, ::-1])


def test_what_the_network_gave_is_left_as_it_is():
    before = GENDER.copy()
    read(Mirroring(always=True))
    assert np.array_equal(GENDER, before)


def test_no_images_are_no_fault():
    nothing = {"gender": np.zeros((0, 1), np.float32), "race": np.zeros((0, 5), np.float32)}
    mirror = Mirroring(below={"gender": 0.9, "race": 0.6})
    assert mirror.read(lambda _: nothing, np.zeros((0, 2, 2, 3))) == nothing


@pytest.mark.parametrize("stated", [True, False, {"gender": 0.9, "race": 0.6}])
def test_manifests_state_it(stated):
    assert Mirroring.from_json(stated).to_json() == stated


@pytest.mark.parametrize("stated", [{"gender": 1.5}, {"gender": float("nan")}, {"race": -1}])
def test_bounds_that_are_no_probabilities_are_refused(stated):
    with pytest.raises(ValueError, match=r"must be in 0\.\.1"):
        Mirroring.from_json(stated)
