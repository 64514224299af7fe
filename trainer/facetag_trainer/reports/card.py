"""A bundle's card, made from its manifest: what it is, measures, and what its labels are not."""

from collections.abc import Mapping
from typing import Any

from facetag.vision.network.mirror_averaging import Mirroring
from facetag_trainer.reports.terms import is_of_utkface, write_terms

PAPER = {
    "age": {"rmse": 8.70},
    "gender": {
        "accuracy": 0.9239,
        "f1": 0.9191,
        "precision": 0.9272,
        "recall": 0.9112,
        "auc": 0.9783,
    },
    "race": {"accuracy": 0.8307, "macro_f1": 0.7110},
}
"""Table 1 of the student paper (InceptionV3)."""

MEASURES = {
    "rmse": "RMSE (years)",
    "mae": "MAE (years)",
    "cs5": "within 5 years",
    "bias": "mean error (years)",
    "coverage": "in the stated range",
    "accuracy": "accuracy",
    "f1": "F1 (female)",
    "precision": "precision (female)",
    "recall": "recall (female)",
    "auc": "AUC",
    "macro_f1": "macro F1",
    "ece": "calibration error (ECE)",
}

LABELS = """## What the labels are, and are not

- The labels are **apparent** age, gender and race **as {seen}, not
  facts about persons. Nobody was asked.
- Gender has two labels and race five (white, black, asian, indian, other) because UTKFace has;
  people do not sort so. Nothing here says how somebody identifies.
- Errors differ between groups: old and very young faces, the label `other`, and photographs unlike
  those that it was fitted on{mostly} are read worse. Measure on your own labelled images
  with `facetag evaluate` before you rely on a figure.
- Meant for describing image collections as a whole. Not for identifying, admitting, ranking or
  pricing people, and not for a decision about any single person. No face embedding is kept.
"""

UTKFACE_WORDS = {
    "seen": (
        "UTKFace's labellers saw them**: guesses\n  about photographs "
        "(made by an algorithm and corrected by people)"
    ),
    "mostly": " (mostly portraits found on the web)",
}
OTHER_WORDS = {"seen": "those who labelled the training images saw them**", "mostly": ""}


def write_card(manifest: Mapping[str, Any]) -> str:
    """Return the card, in Markdown, of a bundle with this manifest."""
    parts = [
        f"# facetag network {manifest['version']}",
        _summary(manifest),
        *_measured(manifest),
        *_calibrated(manifest),
        LABELS.format(**(UTKFACE_WORDS if is_of_utkface(manifest) else OTHER_WORDS)).strip(),
        write_terms(manifest),
        "## Provenance",
        "\n".join(
            [f"- weights: SHA-256 `{manifest['weights_sha256']}`"]
            + [
                f"- shard `{shard['name']}`: SHA-256 `{shard['sha256']}`"
                for shard in manifest["shards"]
            ]
            + _descent(manifest.get("training", {}))
        ),
    ]
    return "\n\n".join(parts) + "\n"


def figure(value: float | None) -> str:
    """Return a figure as cards and reports print it: years to two places, shares to four."""
    if value is None:
        return "–"
    return f"{value:.2f}" if abs(value) > 1.5 else f"{value:.4f}"


def _descent(training: Mapping[str, Any]) -> list[str]:
    """Return which other networks have a part in it, beside its parent."""
    lines = [f"- weights averaged with those of `{name}`" for name in training.get("averaged", ())]
    lines += [f"- taught by `{name}`" for name in training.get("teachers", ())]
    if training.get("answers"):
        lines.append(f"- taught by the answers with SHA-256 `{training['answers']}`")
    return lines


def _summary(manifest: Mapping[str, Any]) -> str:
    samples, network = manifest["samples"], manifest["network"]
    dropped = "; ".join(f"{count} {reason}" for reason, count in samples["dropped"].items())
    count = len(manifest["shards"])
    mirror = _mirrored(Mirroring.from_json(manifest.get("mirror", False)))
    return (
        "Predicts the **apparent** age, gender and race of a face that MTCNN has found. "
        f"{network['backbone']} at {network['input_size']} pixels with three heads{mirror}, "
        f"{count} training shard{'' if count == 1 else 's'}, {samples['training']} images fitted "
        f"on, {samples['validation']} held out. Dropped beforehand: {dropped or 'none'}."
    )


def _mirrored(mirror: Mirroring) -> str:
    if mirror.always:
        return ", each face read with its mirror image"
    bounds = " or ".join(f"{name} below {bound:g}" for name, bound in mirror.below.items())
    return f", faces of an uncalibrated {bounds} read with their mirror image" if bounds else ""


def _measured(manifest: Mapping[str, Any]) -> list[str]:
    validation = manifest["metrics"].get("validation")
    test = manifest["metrics"].get("test")
    if test:
        return [
            "## Measured",
            (
                f"`{test['command']}` printed on {test['date']}, over {test['table']['n']} images "
                f"({test['machine']}). Every image goes through detector and crop as in the "
                "service; nothing validly labelled is dropped. The test shard had no part in "
                "fitting or choosing. Intervals are the central 95% of 1000 bootstrap rounds over "
                "the images. The paper's column is the student paper's Table 1, on its own split."
            ),
            _rows(test["table"], validation),
            *_worst(test["table"]),
            *_without_twins(test["table"]),
        ]
    if validation:
        return ["## Measured", "On the validation images only.", _rows(validation, None)]
    return []


def _rows(table: Mapping[str, Any], validation: Mapping[str, Any] | None) -> str:
    lines = [
        "| | this network | 95% interval | paper | validation |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for head in ("age", "gender", "race"):
        intervals = table.get("intervals", {}).get(head, {})
        for name, value in table.get(head, {}).items():
            held_out = (validation or {}).get(head, {}).get(name)
            lines.append(
                f"| {head}: {MEASURES[name]} | {figure(value)} | {_interval(intervals.get(name))} "
                f"| {figure(PAPER[head].get(name))} | {figure(held_out)} |"
            )
    return "\n".join(lines)


def _worst(table: Mapping[str, Any]) -> list[str]:
    worst = table.get("worst_groups")
    if not worst:
        return []
    lines = [
        (
            f"- {head}: **{row['group']}** ({row['n']} images), {MEASURES[row['measure']]} "
            f"{figure(row['value'])} ({_interval(row['interval'])}), "
            f"{figure(table[head][row['measure']])} over all"
        )
        for head, row in worst.items()
    ]
    words = (
        "Of all groups by labelled gender, race, age band and their crossings that hold 100 "
        "images or more:"
    )
    return ["### The group that is read worst", words, "\n".join(lines)]


def _without_twins(table: Mapping[str, Any]) -> list[str]:
    others = table.get("without_twins")
    if not others:
        return []
    figures = [
        f"{head}: {MEASURES[name]} {figure(others[head][name])}"
        for head, name in (
            ("age", "rmse"),
            ("gender", "accuracy"),
            ("gender", "auc"),
            ("race", "accuracy"),
            ("race", "macro_f1"),
        )
        if head in others
    ]
    return [
        (
            f"Without the {table['n'] - others['n']} images that have a near twin in the training "
            f"data (at most 16 of 256 bits of a difference hash differ): {'; '.join(figures)}."
        )
    ]


def _calibrated(manifest: Mapping[str, Any]) -> list[str]:
    calibration = manifest.get("calibration")
    if not calibration:
        return []
    lines = [
        f"- {head}: temperature {temperature:g}; a label under "
        f"{calibration['uncertain_below'][head]:g} is called `uncertain`"
        + _uncertain(calibration["uncertain"].get(head))
        for head, temperature in calibration["temperatures"].items()
    ]
    line = calibration.get("age_line", {})
    if line.get("slope", 1) != 1:
        lines.append(f"- age: {line['offset']:+g} years and {line['slope']:g} times what it says")
    if "age_range" in manifest:
        lines.append(f"- age: the range is made to hold {manifest['age_range']['coverage']:.0%}")
    table = manifest["metrics"].get("holdout", {})
    found = [
        f"{MEASURES[name]} of {head} {figure(row[name])}"
        for head, row in table.items()
        for name in ("coverage", "ece")
        if row.get(name) is not None
    ]
    held_out = manifest["held_out"]
    words = (
        f"Fitted on {calibration['fitted_on']} held-out images, which the network was not fitted "
        f"on. On {held_out['holdout']} further ones, the holdout: {', '.join(found)}."
    )
    return ["## Calibration", words, "\n".join(lines)]


def _uncertain(counted: Mapping[str, Any] | None) -> str:
    if not counted or counted["share"] is None:
        return ""
    return (
        f" ({counted['share']:.0%} of the holdout; accuracy {figure(counted['accuracy'])}, of the "
        f"others {figure(counted['accuracy_of_others'])})"
    )


def _interval(interval: Any) -> str:
    return "–" if not interval else f"{figure(interval[0])} to {figure(interval[1])}"
