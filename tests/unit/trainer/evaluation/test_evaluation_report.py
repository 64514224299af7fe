"""A report is one page that needs nothing else, with its data, tables and pictures beside it."""

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from facetag_trainer.evaluation.evaluation_report import Reported, write_report
from facetag_trainer.evaluation.evaluation_results import measure_evaluation
from tests.unit.trainer.evaluation.test_evaluation_results import evaluation

FACTS = {
    "version": "2025-01-31-abcdef01",
    "command": "facetag evaluate <test>.tar",
    "date": "2025-02-01",
    "shards": [{"name": "<test>.tar", "sha256": "ab" * 32}],
}
TWINS = np.arange(120) % 4 == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = evaluation()
    folder = tmp_path_factory.mktemp("report")
    write_report(
        folder,
        Reported(found, measure_evaluation(found), FACTS, measure_evaluation(found, ~TWINS), TWINS),
    )
    return folder


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_page_holds_everything_and_fetches_nothing(folder):
    page = (folder / "report.html").read_text()
    assert page.count("data:image/svg+xml;base64,") == 7
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "<script" not in page
    assert "&lt;test&gt;.tar" in page
    assert "<test>" not in page
    assert "30 images have a near twin" in page
    assert "Without near twins" in page


def test_the_page_states_the_figures_of_the_data(folder):
    page = (folder / "report.html").read_text()
    table = json.loads((folder / "report.json").read_text())["table"]
    assert f"{table['age']['rmse']:.2f}" in page
    low, high = table["intervals"]["race"]["accuracy"]
    assert f"{low:.4f} to {high:.4f}" in page
    assert f"{table['without_twins']['gender']['accuracy']:.4f}" in page


def test_the_data_has_groups_both_ways(folder):
    data = json.loads((folder / "report.json").read_text())
    assert data["near_twins"] == 30
    assert data["groups"]["all"][0]["n"] == 120
    assert data["groups"]["without near twins"][0]["n"] == 90
    assert {tuple(group["by"]) for group in data["groups"]["all"]} >= {
        (),
        ("age",),
        ("gender", "race", "age"),
    }


def test_the_tables_agree_with_the_data(folder):
    data = json.loads((folder / "report.json").read_text())
    rows = read(folder / "tables" / "groups.csv")
    (accuracy,) = (
        float(row["value"])
        for row in rows
        if (row["images"], row["group"], row["head"], row["measure"])
        == ("all", "female", "race", "accuracy")
    )
    (group,) = (one for one in data["groups"]["all"] if one["group"] == "female")
    assert accuracy == group["race"]["accuracy"]["value"]
    predictions = read(folder / "tables" / "predictions.csv")
    assert len(predictions) == 120
    assert sum(int(row["near_twin"]) for row in predictions) == 30
    right = [row["gender_label"] == row["gender_predicted"] for row in predictions]
    assert np.mean(right) == pytest.approx(data["table"]["gender"]["accuracy"])
    # The first ten have no known race.
    assert {row["race_label"] for row in predictions[:10]} == {""}
    confusion = read(folder / "tables" / "confusion-race.csv")
    assert sum(int(row[label]) for row in confusion for label in list(row)[1:]) == 110


def test_every_picture_is_there_as_svg_and_png(folder):
    names = {path.name for path in (folder / "plots").iterdir()}
    assert {f"{name}.{form}" for name in ("roc", "reliability") for form in ("svg", "png")} <= names
    assert len(names) == 14
    assert (folder / "plots" / "roc.png").read_bytes().startswith(b"\x89PNG")


def test_images_without_twins_may_lack_the_labels_of_a_head(tmp_path):
    found = evaluation()
    found.labels["race"][~TWINS] = np.nan
    rest = measure_evaluation(found, ~TWINS)
    page = write_report(tmp_path, Reported(found, measure_evaluation(found), FACTS, rest, TWINS))
    (row,) = (line for line in page.read_text().splitlines() if "macro F1" in line)
    assert row.endswith('<td class="number">–</td></tr>')


def test_names_that_are_not_utf_8_or_are_formulas_are_escaped(tmp_path):
    found = evaluation()
    names = ["20_0_1_caf\udce9.jpg", "=1+1.jpg"]
    for place, name in enumerate(names):
        found.samples[place] = replace(found.samples[place], name=name)
    facts = FACTS | {"shards": [{"name": "caf\udce9.tar", "sha256": "ab" * 32}]}
    page = write_report(tmp_path, Reported(found, measure_evaluation(found), facts))
    assert r"caf\xe9.tar" in page.read_text()
    rows = read(tmp_path / "tables" / "predictions.csv")
    assert [row["image"] for row in rows[:2]] == [r"20_0_1_caf\xe9.jpg", r"\x3d1+1.jpg"]


def test_a_report_without_twins_or_ages_leaves_these_out(tmp_path):
    found = evaluation()
    del found.labels["age"], found.outputs["age"]
    page = write_report(
        tmp_path / "new" / "report", Reported(found, measure_evaluation(found), FACTS)
    )
    text = page.read_text()
    assert "near twin" not in text
    assert "RMSE" not in text
    assert not (page.parent / "plots" / "age-scatter.svg").exists()
    assert json.loads((page.parent / "report.json").read_text())["near_twins"] is None
