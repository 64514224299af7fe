"""Write the report of an evaluation: a page that opens offline, its data, tables and plots."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from facetag.atomic_write import atomic_write
from facetag_trainer.evaluation.bootstrap import ROUNDS
from facetag_trainer.evaluation.bundle_evaluation import Evaluation
from facetag_trainer.evaluation.evaluation_plots import draw_all
from facetag_trainer.evaluation.evaluation_results import EvaluationResults, results_json
from facetag_trainer.evaluation.evaluation_tables import write_tables
from facetag_trainer.evaluation.group_measures import SMALLEST, WORST_BY, Measured
from facetag_trainer.reports.figures import embed, save
from facetag_trainer.reports.pages import render_template
from facetag_trainer.reports.table_measures import find_measure

PICTURES = {
    "confusion-gender": "Apparent gender: labelled against predicted",
    "confusion-race": "Apparent race: labelled against predicted",
    "roc": "ROC curves: gender, and each race against all others",
    "reliability": "Reliability: stated probability against accuracy",
    "age-scatter": "Apparent age: labelled against predicted",
    "age-by-band": "Error of apparent age by labelled age band",
    "groups": "Groups of gender and race",
}
NOT_MEASURED = Measured(None, None)
"""Stands where all images with a label of a head have a near twin."""


@dataclass(frozen=True, slots=True)
class Reported:
    """An evaluation, its results, and the facts that the report states."""

    evaluation: Evaluation
    results: EvaluationResults
    facts: Mapping[str, Any]
    """`version`, `command`, `date` and `shards`; report.json also holds any other key."""
    without_twins: EvaluationResults | None = None
    twins: npt.NDArray[np.bool_] | None = field(default=None, repr=False)


def write_report(folder: Path, reported: Reported) -> Path:
    """Write report.html, report.json, tables/ and plots/ into a folder; return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    evaluation, results = reported.evaluation, reported.results
    pictures = draw_all(results, _known_ages(evaluation))
    save(pictures, folder / "plots")
    sets = {"all": results}
    if reported.without_twins is not None:
        sets["without near twins"] = reported.without_twins
    write_tables(folder / "tables", evaluation, sets, reported.twins)
    atomic_write(folder / "report.json", json.dumps(_data(reported, sets), indent=2) + "\n")
    page = folder / "report.html"
    atomic_write(page, _render(reported, pictures))
    return page


def _data(reported: Reported, sets: Mapping[str, EvaluationResults]) -> dict[str, Any]:
    results = reported.results
    return {
        **reported.facts,
        "near_twins": None if reported.twins is None else int(reported.twins.sum()),
        "table": results_json(results, reported.without_twins),
        "confusion": {head: counts.tolist() for head, counts in results.confusion.items()},
        "reliability": {
            head: [
                {"low": b.low, "high": b.high, "n": b.n, "probability": b.probability}
                | {"accuracy": b.accuracy}
                for b in bins
            ]
            for head, bins in results.reliability.items()
        },
        "groups": {
            name: [group.to_json() for group in found.groups] for name, found in sets.items()
        },
    }


def _render(reported: Reported, pictures: Mapping[str, Figure]) -> str:
    results = reported.results
    return render_template(
        "evaluation.html.jinja",
        facts=reported.facts,
        results=results,
        evaluation=reported.evaluation,
        twins=None if reported.twins is None else int(reported.twins.sum()),
        rows=_measure_rows(results, reported.without_twins),
        worst=[(find_measure(head, row["measure"]), row) for head, row in results.worst().items()],
        smallest=SMALLEST,
        rounds=ROUNDS,
        pictures=[
            (title, embed(pictures[name])) for name, title in PICTURES.items() if name in pictures
        ],
        crossings=[
            (" × ".join(by), list(groups))
            for by, groups in groupby(results.groups[1:], key=lambda group: group.by)
        ],
        main=[measure for measure in WORST_BY if measure.head in results.table_1],
    )


def _measure_rows(
    results: EvaluationResults, without: EvaluationResults | None
) -> list[dict[str, Any]]:
    """Return a row per measure: the measure, its value, and its value without near twins."""
    rows = []
    for head, measures in results.groups[0].measures.items():
        for name, found in measures.items():
            others = {} if without is None else without.groups[0].measures.get(head, {})
            other = others.get(name, NOT_MEASURED)
            rows.append({"measure": find_measure(head, name), "found": found, "without": other})
    return rows


def _known_ages(evaluation: Evaluation) -> tuple[Any, Any] | None:
    if "age" not in evaluation.outputs:
        return None
    known = ~np.isnan(evaluation.labels["age"])
    return evaluation.labels["age"][known], evaluation.outputs["age"][known, 0]
