"""A fit's event files hold its points, and its curves are one picture."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboardX.proto.event_pb2 import Event

from facetag_trainer.fit.fit_records import STEPS_BETWEEN, EventLog, draw_curves
from facetag_trainer.fit.loop import FitProgress


def progress(step):
    return FitProgress(0, step, 100, 1.5, 10.0, np.arange(4))


def events_in(path: Path) -> list[Event]:
    """Read TFRecords: length, its checksum, the event, its checksum."""
    data, events = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        events.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return events


def scalars_in(folder):
    return {
        (value.tag, event.step): value.simple_value
        for path in folder.iterdir()
        for event in events_in(path)
        for value in event.summary.value
    }


def test_steps_and_epochs_become_scalars(tmp_path):
    row = {"epoch": 0, "loss": 1.2, "learning_rate": 0.5, "score": 2.0, "age": {"rmse": 8.0}}
    with EventLog(tmp_path / "events") as log:
        for step in range(1, 101):
            log.step(progress(step))
        log.epoch(row)
    scalars = scalars_in(tmp_path / "events")
    assert scalars["training/loss", STEPS_BETWEEN] == 1.5
    assert ("training/loss", STEPS_BETWEEN + 1) not in scalars
    assert scalars["validation/age_rmse", 100] == 8.0
    assert scalars["validation/score", 100] == 2.0
    assert scalars["epoch/loss", 100] == pytest.approx(1.2)


def test_a_resumed_fit_takes_the_place_of_what_came_after_its_first_point(tmp_path):
    for step in (60, 40):
        with EventLog(tmp_path / "events") as log:
            log.step(progress(step))
    events = [event for path in (tmp_path / "events").iterdir() for event in events_in(path)]
    # TensorBoard drops what an earlier file holds from the step of a session's start on.
    starts = [event.step for event in events if event.session_log.status == 1]
    assert starts == [40]


def test_a_log_that_nothing_is_added_to_leaves_no_file(tmp_path):
    with EventLog(tmp_path / "events"):
        pass
    assert not (tmp_path / "events").exists()


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
