"""`facetag evaluate --report DIR`: a page that needs nothing else, data, tables and pictures."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, FileSystemLoader
from matplotlib.figure import Figure

from facetag_trainer.evaluation.bootstrap import ROUNDS
from facetag_trainer.evaluation.evaluate import Evaluation
from facetag_trainer.evaluation.findings import Findings, state
from facetag_trainer.evaluation.groups import SMALLEST, WORST_BY
from facetag_trainer.evaluation.plots import draw_all
from facetag_trainer.evaluation.tables import write_tables
from facetag_trainer.reports.card import MEASURES, PAPER, figure
from facetag_trainer.reports.figures import embed, save

TEMPLATES = Path(__file__).parents[1] / "reports" / "templates"
PICTURES = {
    "confusion-gender": "Apparent gender: labelled against read",
    "confusion-race": "Apparent race: labelled against read",
    "roc": "ROC: gender, and each race against all others",
    "reliability": "Reliability: stated probability against accuracy",
    "age-scatter": "Apparent age: labelled against predicted",
    "age-by-band": "Error of ages by labelled band",
    "groups": "Groups of gender and race",
}


@dataclass(frozen=True, slots=True)
class Reported:
    """What a report is made of."""

    evaluation: Evaluation
    findings: Findings
    facts: Mapping[str, Any]
    """`version`, `command`, `date`, `shards`, and what else the data should state."""
    without_twins: Findings | None = None
    twins: npt.NDArray[np.bool_] | None = field(default=None, repr=False)


def write_report(folder: Path, reported: Reported) -> Path:
    """Write report.html, report.json, tables/ and plots/ into a folder; return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    evaluation, findings = reported.evaluation, reported.findings
    pictures = draw_all(findings, _known_ages(evaluation))
    save(pictures, folder / "plots")
    sets = {"all": findings}
    if reported.without_twins is not None:
        sets["without near twins"] = reported.without_twins
    write_tables(folder / "tables", evaluation, sets, reported.twins)
    (folder / "report.json").write_text(json.dumps(_data(reported, sets), indent=2) + "\n")
    page = folder / "report.html"
    page.write_text(_render(reported, pictures))
    return page


def _data(reported: Reported, sets: Mapping[str, Findings]) -> dict[str, Any]:
    findings = reported.findings
    return {
        **reported.facts,
        "near_twins": None if reported.twins is None else int(reported.twins.sum()),
        "table": state(findings, reported.without_twins),
        "confusion": {head: counts.tolist() for head, counts in findings.confusion.items()},
        "reliability": {
            head: [
                {"low": b.low, "high": b.high, "n": b.n, "probability": b.probability}
                | {"accuracy": b.accuracy}
                for b in bins
            ]
            for head, bins in findings.reliability.items()
        },
        "groups": {
            name: [group.to_json() for group in found.groups] for name, found in sets.items()
        },
    }


def _render(reported: Reported, pictures: Mapping[str, Figure]) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["figure"] = figure
    findings = reported.findings
    return environment.get_template("evaluation.html.jinja").render(
        facts=reported.facts,
        findings=findings,
        evaluation=reported.evaluation,
        twins=None if reported.twins is None else int(reported.twins.sum()),
        rows=_measure_rows(findings, reported.without_twins),
        worst=findings.worst(),
        smallest=SMALLEST,
        rounds=ROUNDS,
        measures=MEASURES,
        pictures=[
            (name, title, embed(pictures[name]))
            for name, title in PICTURES.items()
            if name in pictures
        ],
        crossings=[
            (" × ".join(by), list(groups))
            for by, groups in groupby(findings.groups[1:], key=lambda group: group.by)
        ],
        main=[
            (head, measure) for head, (measure, _) in WORST_BY.items() if head in findings.table_1
        ],
    )


def _measure_rows(findings: Findings, without: Findings | None) -> list[dict[str, Any]]:
    """Return a row a measure: the head, its name, the paper's figure, and what was found."""
    rows = []
    for head, measures in findings.groups[0].measures.items():
        for name, found in measures.items():
            other = None if without is None else without.groups[0].measures[head][name]
            paper = PAPER[head].get(name)
            row = {"head": head, "name": MEASURES[name], "paper": paper, "found": found}
            rows.append({**row, "without": other})
    return rows


def _known_ages(evaluation: Evaluation) -> tuple[Any, Any] | None:
    if "age" not in evaluation.outputs:
        return None
    known = ~np.isnan(evaluation.labels["age"])
    return evaluation.labels["age"][known], evaluation.outputs["age"][known, 0]
