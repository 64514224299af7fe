"""A run's picture of its curves."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facetag_trainer.fit.curves import draw_curves


def rows(count, **changes):
    return [
        {
            "epoch": epoch,
            "score": 2.0 - epoch / 10,
            "loss": 3.0,
            "learning_rate": 1e-3,
            "age": {"rmse": 9.0, "mae": 7.0},
            "gender": {"accuracy": 0.9, "auc": None},
            **changes,
        }
        for epoch in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_history_becomes_a_picture(tmp_path, count):
    path: Path = tmp_path / "curves.png"
    draw_curves(rows(count), path)
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.width > 1000
    assert [each.name for each in tmp_path.iterdir()] == ["curves.png"]


def test_other_figures_make_another_picture(tmp_path):
    pictures = []
    for score in (1.0, 2.0):
        draw_curves([*rows(3), *rows(4, score=score)[3:]], tmp_path / "curves.png")
        pictures.append(np.asarray(Image.open(tmp_path / "curves.png")))
    assert not np.array_equal(*pictures)


def test_a_history_of_facetags_first_version_is_drawn_too(tmp_path):
    old = [{"epoch": 0, "score": 1.5, "race": {"accuracy": 0.8, "macro_f1": 0.6}}]
    draw_curves(old, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000
