"""Write the tables of an evaluation as CSV, for further analysis."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facetag.atomic_write import atomic_open_text
from facetag.heads import HEADS_BY_NAME
from facetag.results.name_escapes import escape_cell, escape_name
from facetag_trainer.evaluation.bundle_evaluation import Evaluation
from facetag_trainer.evaluation.calibration_error import chosen_labels
from facetag_trainer.evaluation.evaluation_results import EvaluationResults

Row = Sequence[Any]


def write_tables(
    folder: Path,
    evaluation: Evaluation,
    results: Mapping[str, EvaluationResults],
    twins: Any = None,
) -> None:
    """Write the tables into a folder; `results` are keyed by the name of their set of images.

    `twins` (n,) marks images with a near twin in the training data; with None the column is empty.
    """
    folder.mkdir(parents=True, exist_ok=True)
    everything = next(iter(results.values()))
    _write(
        folder / "groups.csv",
        ("images", "by", "group", "n", "head", "known", "measure", "value", "low", "high"),
        (row for name, found in results.items() for row in _group_rows(name, found)),
    )
    _write(
        folder / "reliability.csv",
        ("head", "low", "high", "n", "probability", "accuracy"),
        (
            (head, one.low, one.high, one.n, one.probability, one.accuracy)
            for head, bins in everything.reliability.items()
            for one in bins
        ),
    )
    _write(
        folder / "roc.csv",
        ("curve", "false_positive_rate", "true_positive_rate"),
        ((name, *point) for name, curve in everything.roc.items() for point in curve),
    )
    for head, counts in everything.confusion.items():
        labels = HEADS_BY_NAME[head].labels
        rows = ((label, *row) for label, row in zip(labels, counts.tolist(), strict=True))
        _write(folder / f"confusion-{head}.csv", ("labelled", *labels), rows)
    _write(folder / "predictions.csv", *_predictions(evaluation, twins))


def _group_rows(images: str, results: EvaluationResults) -> Iterator[Row]:
    for group in results.groups:
        for head, measures in group.measures.items():
            for measure, found in measures.items():
                low, high = found.interval or (None, None)
                place = (images, " x ".join(group.by), group.name, group.n)
                yield (*place, head, group.counts[head], measure, found.value, low, high)


def _predictions(evaluation: Evaluation, twins: Any) -> tuple[Row, Iterator[Row]]:
    """Return the columns and rows of the predictions, one row per image."""
    columns: list[str] = ["image", "near_twin"]
    cells: list[list[Any]] = [
        [escape_cell(escape_name(sample.name)) for sample in evaluation.samples],
        [None] * len(evaluation.samples) if twins is None else [int(one) for one in twins],
    ]
    for name, output in evaluation.outputs.items():
        head = HEADS_BY_NAME[name]
        truth = [None if np.isnan(value) else value for value in evaluation.labels[name].tolist()]
        columns.append(f"{name}_label")
        if head.kind == "regression":
            cells.append(truth)
        else:
            cells.append([None if code is None else head.labels[int(code)] for code in truth])
            columns.append(f"{name}_predicted")
            cells.append([head.labels[code] for code in chosen_labels(name, output).tolist()])
        names = head.labels if head.kind == "categorical" else [*head.labels[1:], "predicted"][:1]
        columns += [f"{name}_{label}" for label in names]
        cells += [[round(value, 4) for value in column] for column in output.T.tolist()]
    return columns, zip(*cells, strict=True)


def _write(path: Path, columns: Row, rows: Iterable[Row]) -> None:
    with atomic_open_text(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
