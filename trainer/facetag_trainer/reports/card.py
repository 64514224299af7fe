"""Write a bundle's card from its manifest: origin, figures, limits of the labels, and terms."""

from collections.abc import Mapping, Sequence
from typing import Any

from facetag.results.name_escapes import written_name
from facetag.vision.network.mirror_averaging import Mirroring
from facetag_trainer.reports.table_measures import MISSING, find_measure
from facetag_trainer.reports.terms import is_of_utkface, write_terms

LABELS = """## What the labels are, and are not

- The labels are **apparent** age, gender and race **as {seen}. They are not
  facts about persons: nobody was asked.
- Gender has two labels and race five (white, black, asian, indian, other), as in UTKFace. People do
  not fall into such classes, and the labels do not say how somebody identifies.
- Errors differ between groups. The network is worse on old and very young faces, on the label
  `other`, and on photographs unlike those that it was fitted on{mostly}.
  Measure it on your own labelled images with `facetag evaluate` before you rely on a figure.
- Use the network to describe image collections as a whole. Do not use it to identify, admit, rank
  or price people, nor for a decision about any single person. No face embedding is stored.
"""

TAUGHT = """\
- teacher: dlib's face recognition network (`face-recognition-models` 0.3.0; its author, Davis E.
  King, dedicated it to the public domain, CC0 1.0), by the file of `facetag teach` with SHA-256
  `{taught}`. While fitting, a layer that is not in this bundle learnt its descriptors of the
  training images, and classifiers on them, out of fold, answered for a part of the targets. It is
  not used when photos are labelled."""

SERVED = {
    "both": "photos like its earlier and its new ones, where nothing may be lost",
    "new": "photos like its new ones; on others a bounded loss was allowed",
    "earlier": "photos like its earlier ones; on the new ones a bounded loss was allowed",
}
"""The photos that the network is meant for, by the value of `facetag retrain --for`."""
BY_DOMAIN = (
    ("age", "rmse"),
    ("age", "coverage"),
    ("gender", "accuracy"),
    ("race", "accuracy"),
)
READ, HELD = ("rmse", "accuracy"), ("coverage", "ece")
"""Measures of what is read, and of whether what is said of it holds."""
WITHOUT_TWINS = tuple(
    find_measure(*one)
    for one in (
        ("age", "rmse"),
        ("gender", "accuracy"),
        ("gender", "auc"),
        ("race", "accuracy"),
        ("race", "macro_f1"),
    )
)
"""Measures that the card also gives without near twins."""

UTKFACE_WORDS = {
    "seen": (
        "UTKFace's labellers saw them**: guesses\n  about photographs, made by "
        "an algorithm and corrected by people"
    ),
    "mostly": " (mostly portraits found on the web)",
}
OTHER_WORDS = {"seen": "the people who labelled the training images saw them**", "mostly": ""}


def write_card(manifest: Mapping[str, Any]) -> str:
    """Return the card of a bundle with this manifest, in Markdown."""
    parts = [
        f"# facetag network {manifest['version']}",
        _summary(manifest),
        *_measured(manifest),
        *_by_domain(manifest),
        *_compared(manifest),
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
    # Names of shards may have bytes that are not UTF-8.
    return written_name("\n\n".join(parts) + "\n")


def _descent(training: Mapping[str, Any]) -> list[str]:
    """Return the other networks that contributed to it, besides its parent."""
    lines = [f"- weights averaged with those of `{name}`" for name in training.get("averaged", ())]
    lines += [f"- teacher: `{name}`" for name in training.get("teachers", ())]
    if training.get("answers"):
        lines.append(f"- teacher: the stored outputs with SHA-256 `{training['answers']}`")
    if training.get("taught"):
        lines.append(TAUGHT.format(taught=training["taught"]))
    return lines


def _summary(manifest: Mapping[str, Any]) -> str:
    samples, network = manifest["samples"], manifest["network"]
    dropped = "; ".join(f"{count} {reason}" for reason, count in samples["dropped"].items())
    count = len(manifest["shards"])
    mirror = _mirrored(Mirroring.from_json(manifest.get("mirror", False)))
    return (
        "Predicts the **apparent** age, gender and race of a face that MTCNN has found. "
        f"Backbone: {network['backbone']} at {network['input_size']} pixels, with three heads"
        f"{mirror}. Training data: {count} shard{'' if count == 1 else 's'}, "
        f"{samples['training']} images for fitting and {samples['validation']} held out. Dropped "
        f"before the split: {dropped or 'none'}."
    )


def _mirrored(mirror: Mirroring) -> str:
    if mirror.always:
        return "; each face is averaged with its mirror image"
    bounds = " or ".join(f"{name} below {bound:g}" for name, bound in mirror.below.items())
    return (
        f"; faces with an uncalibrated {bounds} are averaged with their mirror image"
        if bounds
        else ""
    )


def _measured(manifest: Mapping[str, Any]) -> list[str]:
    validation = manifest["metrics"].get("validation")
    test = manifest["metrics"].get("test")
    if test:
        return [
            "## Measured",
            (
                f"Output of `{test['command']}` on {test['date']}, for {test['table']['n']} images "
                f"({test['machine']}). Every image goes through detector and crop as in the "
                "service, and no image with valid labels is dropped. The test shard was not used "
                "for fitting or for any choice. Intervals are 95% confidence intervals from 1000 "
                'bootstrap rounds over the images. The column "paper" is Table 1 of the student '
                "paper, which used a split of its own."
            ),
            _rows(test["table"], validation),
            *_worst(test["table"]),
            *_without_twins(test["table"]),
        ]
    if validation:
        return [
            "## Measured",
            "On the validation images, which chose the weights.",
            _rows(validation, None),
        ]
    return []


def _rows(table: Mapping[str, Any], validation: Mapping[str, Any] | None) -> str:
    lines = [
        "| | this network | 95% interval | paper | validation |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for head in ("age", "gender", "race"):
        intervals = table.get("intervals", {}).get(head, {})
        for name, value in table.get(head, {}).items():
            measure = find_measure(head, name)
            held_out = (validation or {}).get(head, {}).get(name)
            lines.append(
                f"| {head}: {measure.title} | {measure.format(value)} "
                f"| {measure.format_interval(intervals.get(name))} "
                f"| {measure.format(measure.paper)} | {measure.format(held_out)} |"
            )
    return "\n".join(lines)


def _worst(table: Mapping[str, Any]) -> list[str]:
    worst = table.get("worst_groups")
    if not worst:
        return []
    lines = []
    for head, row in worst.items():
        measure = find_measure(head, row["measure"])
        lines.append(
            f"- {head}: **{row['group']}** ({row['n']} images), {measure.title} "
            f"{measure.format(row['value'])} ({measure.format_interval(row['interval'])}), "
            f"{measure.format(table[head][row['measure']])} for all images"
        )
    words = (
        "Among all groups by labelled gender, race, age band and their combinations with 100 "
        "images or more:"
    )
    return ["### Worst groups", words, "\n".join(lines)]


def _without_twins(table: Mapping[str, Any]) -> list[str]:
    others = table.get("without_twins")
    if not others:
        return []
    figures = [
        f"{measure.head}: {measure.title} {measure.format(others[measure.head][measure.field])}"
        for measure in WITHOUT_TWINS
        if measure.head in others
    ]
    return [
        (
            f"Without the {table['n'] - others['n']} images that have a near twin in the training "
            f"data (at most 16 of 256 bits of a difference hash differ): {'; '.join(figures)}."
        )
    ]


def _by_domain(manifest: Mapping[str, Any]) -> list[str]:
    """Return the figures by domain, before and after a retraining."""
    domains = manifest.get("domains")
    if not domains:
        return []
    names = [find_measure(*one) for one in BY_DOMAIN]
    lines = [
        "| domain | holdout | " + " | ".join(one.full_name for one in names) + " |",
        "| --- | ---: |" + " ---: |" * len(names),
    ]
    for domain, row in domains.items():
        cells = []
        for one in names:
            before, after = (
                one.format(row[moment].get(one.head, {}).get(one.field))
                for moment in ("before", "after")
            )
            cells.append(f"{before} → {after}")
        lines.append(f"| {domain} | {row['n']} | " + " | ".join(cells) + " |")
    words = "Of the network before and of this one, on the holdout of each domain:"
    return ["## By domain", words, "\n".join(lines)]


def _compared(manifest: Mapping[str, Any]) -> list[str]:
    """Return what a retraining changed on earlier and new images, and whom the network serves."""
    stated = manifest.get("comparison")
    if not stated or not stated["table"]:
        return []
    lines = [
        "| images | measure | n | champion | this network | improvement | 95% interval |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in stated["table"]:
        group = f", {row['group']} ({row['chosen_as']})" if row["chosen_as"] else ""
        low, high = row["interval"] or (None, None)
        interval = MISSING if low is None else f"{low:+z.3f} to {high:+z.3f}"
        lines.append(
            f"| {row['data']} | {row['measure']}{group} | {row['n']} | {row['champion']:.3f} | "
            f"{row['candidate']:.3f} | {row['improvement']:+z.3f} | {interval} |"
        )
    words = (
        f"Retrained for {SERVED[stated['for']]} and compared with its parent {stated['against']} "
        "on held-out images. An improvement below 0 is a loss."
    )
    return ["## Compared with the network before", words, "\n".join(lines)]


def _calibrated(manifest: Mapping[str, Any]) -> list[str]:
    calibration = manifest.get("calibration")
    if not calibration:
        return []
    lines = [
        f"- {head}: temperature {temperature:g}; a label with a probability below "
        f"{calibration['uncertain_below'][head]:g} is marked `uncertain`"
        + _uncertain(head, calibration["uncertain"].get(head))
        for head, temperature in calibration["temperatures"].items()
    ]
    line = calibration["age_line"]
    if line["slope"] != 1:
        sign = "plus" if line["offset"] >= 0 else "minus"
        lines.append(
            f"- age: the network's output times {line['slope']:g}, {sign} {abs(line['offset']):g} "
            "years"
        )
    if "age_range" in manifest:
        lines.append(
            f"- age: the stated range should contain {manifest['age_range']['coverage']:.0%} of "
            "the labels"
        )
    for head, age in calibration.get("uncertain_under_age", {}).items():
        share = calibration["uncertain"][head].get("share_under_age")
        told = "" if share is None else f": {share:.0%} of the holdout's children under {age:g}"
        lines.append(f"- {head}: `uncertain` for faces that are read as under {age:g}{told}")
    held_out = manifest["held_out"]
    words = (
        f"Fitted on {calibration['fitted_on']} held-out images, on which the network was not "
        f"fitted. On the {held_out['holdout']} images of the holdout: "
        f"{_held(manifest, 'holdout', HELD)}."
    )
    if "holdout_spoiled" in manifest["metrics"]:
        words += (
            " On the same images corrupted in twelve ways, such as noise, blur and compression: "
            f"{_held(manifest, 'holdout_spoiled', (*READ, *HELD))}."
        )
    return ["## Calibration", words, "\n".join(lines)]


def _held(manifest: Mapping[str, Any], part: str, names: Sequence[str]) -> str:
    """Return these measures of all heads on a part of what is held out."""
    return ", ".join(
        f"{head} {measure.title} {measure.format(row[name])}"
        for head, row in manifest["metrics"].get(part, {}).items()
        for name in names
        if row.get(name) is not None and (measure := find_measure(head, name))
    )


def _uncertain(head: str, counted: Mapping[str, Any] | None) -> str:
    if not counted or counted["share"] is None:
        return ""
    accuracy = find_measure(head, "accuracy")
    return (
        f" ({counted['share']:.0%} of the holdout, with accuracy "
        f"{accuracy.format(counted['accuracy'])}; the others have "
        f"{accuracy.format(counted['accuracy_of_others'])})"
    )
