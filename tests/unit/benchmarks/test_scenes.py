"""A face in a scene is found where the detector sees it in its chip alone."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from benchmarks.scenes import FACE_IN_CHIP, HEIGHT, WIDTH, Pasted, find_in_chips, match
from facetag_trainer.data.shards import Sample

LABELS = {"age": 40.0, "gender": 1.0, "race": 0.0}


def png(pixels):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return Sample("chip.png", out.getvalue(), LABELS)


@pytest.fixture
def chip():
    return Pasted(png(np.zeros((8, 8, 3), np.uint8)), left=100, top=200, side=200)


def tagged(x1, y1, x2, y2):
    return {"box": [x1, y1, x2 - x1, y2 - y1]}


def test_a_face_apart_from_the_usual_place_is_found_by_the_chip_s_own(chip):
    face = tagged(140, 280, 240, 400)
    own = {chip.sample.sha256: (0.2, 0.4, 0.7, 1.0)}
    assert match([chip], [face], own) == [(chip, face)]
    assert match([chip], [face], {}) == [(chip, None)]


def test_a_face_at_another_place_than_the_chip_s_own_is_missed(chip):
    usual = tagged(*chip.carry(FACE_IN_CHIP))
    own = {chip.sample.sha256: (0.2, 0.4, 0.7, 1.0)}
    assert match([chip], [usual], {}) == [(chip, usual)]
    assert match([chip], [usual], own) == [(chip, None)]
    assert match([chip], [], own) == [(chip, None)]


def test_a_box_that_reaches_out_of_the_scene_is_clipped_as_results_are():
    corner = Pasted(png(np.zeros((8, 8, 3), np.uint8)), left=0, top=HEIGHT - 100, side=100)
    assert corner.carry((-0.1, 0.1, 0.9, 1.2)) == (0, HEIGHT - 90, 90, HEIGHT)
    assert corner.carry((0, 0, 20, 1))[2] == WIDTH


def test_the_place_in_a_chip_is_the_detector_s_own():
    astronaut = data.astronaut()
    portrait, ground = png(astronaut[20:220, 124:324]), png(np.full((200, 200, 3), 90, np.uint8))
    boxes = find_in_chips([portrait, ground])
    assert list(boxes) == [portrait.sha256]
    x1, y1, x2, y2 = boxes[portrait.sha256]
    assert x1 < 0.5 < x2
    assert y1 < 0.5 < y2
    assert 0.2 < y2 - y1 < 0.9
