"""Scenes of objects, with and without faces, are the same for the same seed and of all kinds."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from benchmarks.network.face_evidence import gather
from benchmarks.network.object_scenes import FIT, KINDS, REPORT, SIZE, make_scene, paste_faces
from facetag.vision.mtcnn.boxes import overlaps
from facetag.vision.mtcnn.detection_evidence import EVIDENCE
from facetag.vision.network_loader import compile_cascade
from facetag_trainer.data.shards import Sample


@pytest.fixture(scope="module")
def samples():
    out = io.BytesIO()
    Image.fromarray(data.astronaut()[20:220, 124:324]).save(out, "PNG")
    labels = {"age": 40.0, "gender": 1.0, "race": 0.0}
    return [Sample(f"{index}.png", out.getvalue(), labels) for index in range(4)]


def test_photos_to_fit_on_and_to_report_on_are_apart():
    assert not set(FIT) & set(REPORT)


@pytest.mark.parametrize("kind", sorted(set(KINDS)))
def test_a_scene_follows_from_the_seed(kind):
    first, again, other = (
        np.asarray(make_scene(kind, REPORT, np.random.default_rng(seed))) for seed in (1, 1, 2)
    )
    assert first.shape == (SIZE[1], SIZE[0], 3)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_every_chip_is_pasted_once_and_apart_from_others(samples):
    scenes = list(paste_faces(samples, REPORT, np.random.default_rng(3)))
    pasted = [sample.name for scene in scenes for sample in scene.samples]
    assert sorted(pasted) == sorted(sample.name for sample in samples)
    for scene in scenes:
        shared = overlaps(scene.places, scene.places, "smaller")
        assert np.array_equal(shared > 0, np.eye(len(scene.places), dtype=bool))
        assert (overlaps(scene.places, scene.boxes, "smaller").diagonal() > 0.99).all()


def test_faces_on_chips_are_gathered_with_their_ages_and_evidence(samples):
    gathered = gather(compile_cascade(), samples, REPORT, 2, np.random.default_rng(4))
    assert len(gathered.faces) + gathered.missed == 4
    assert gathered.ages == [40.0] * len(gathered.faces)
    assert len(gathered.plain) == 4
    assert all(len(face.evidence) == len(EVIDENCE) for face in gathered.plain)
    assert len(gathered.kinds) == len(gathered.things)
