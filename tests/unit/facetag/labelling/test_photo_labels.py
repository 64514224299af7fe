import numpy as np
import pytest

from facetag.labelling.photo_labels import Labels, label_photos
from facetag.vision.photo import whole_picture
from facetag_worker.fakes import FakeBatch, FakeLabeller

WHITE = whole_picture(np.full((8, 8, 3), 255, np.uint8), 100)
BLACK = whole_picture(np.zeros((8, 8, 3), np.uint8), 100)
POISON = whole_picture(np.full((3, 3, 3), 255, np.uint8), 100)


def refuse_poison(photo):
    if photo.width == POISON.width:
        raise RuntimeError("out of memory")


def test_photos_are_labelled_in_one_batch():
    labeller = FakeLabeller()
    labels = label_photos(labeller, [WHITE, BLACK, WHITE])
    assert [len(found.faces) for found in labels] == [1, 0, 1]
    assert labeller.batches == [3]


def test_no_photos_need_no_labeller():
    labeller = FakeLabeller()
    assert label_photos(labeller, []) == []
    assert labeller.batches == []


def test_each_photo_bears_its_share_of_the_batch_s_milliseconds():
    labels = label_photos(FakeLabeller(photo_s=0.001), [WHITE, WHITE])
    assert labels[0].stage_ms == pytest.approx({"detect": 0.5, "crop": 0.0, "predict": 0.5})


def test_only_the_photo_that_raises_alone_fails():
    labeller = FakeLabeller(before=refuse_poison)
    progress = []
    labels = label_photos(
        labeller, [WHITE, POISON, WHITE], on_progress=lambda: progress.append(None)
    )
    assert [type(found) for found in labels] == [Labels, RuntimeError, Labels]
    assert labeller.batches == [3, 1, 1, 1]
    assert len(progress) == 3


def test_a_labeller_that_answers_too_little_is_not_believed():
    class Forgetful(FakeLabeller):
        def label(self, _photos, /, **_heads):
            return FakeBatch([], {})

    assert [type(found) for found in label_photos(Forgetful(), [WHITE])] == [ValueError]
