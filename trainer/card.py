"""A bundle's card, made from its manifest: what it is, measures, and what its labels are not."""

from collections.abc import Mapping
from typing import Any

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
    "accuracy": "accuracy",
    "f1": "F1 (female)",
    "precision": "precision (female)",
    "recall": "recall (female)",
    "auc": "AUC",
    "macro_f1": "macro F1",
}

TERMS = """## Terms

- Fitted on **UTKFace**, which is licensed for non-commercial research only; the photographs belong
  to their owners. A network fitted on it is to be used within those terms.
"""

NSFWJS_SHA256 = "583a4ae618b8ffba336bfc1d0694b744ddb666ba5766f103b6b5645a81bed12c"
NSFWJS_NOTICE = """\
- The backbone started from InceptionV3 weights of the npm package `nsfwjs` 4.3.0 (ImageNet's own
  for the first 167 layers, the later ones tuned further), used under its licence:

> The MIT License (MIT)
>
> Copyright (c) 2020 Infinite Red, Inc.
>
> Permission is hereby granted, free of charge, to any person obtaining a copy of this software
> and associated documentation files (the "Software"), to deal in the Software without
> restriction, including without limitation the rights to use, copy, modify, merge, publish,
> distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
> Software is furnished to do so, subject to the following conditions:
>
> The above copyright notice and this permission notice shall be included in all copies or
> substantial portions of the Software.
>
> THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING
> BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
> NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
> DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
> OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
"""What the terms add where the starting weights are the file with this SHA-256."""

LABELS = """## What the labels are, and are not

- The labels are **apparent** age, gender and race **as UTKFace's labellers saw them**: guesses
  about photographs (made by an algorithm and corrected by people), not facts about persons. Nobody
  was asked.
- Gender has two labels and race five (white, black, asian, indian, other) because the data has;
  people do not sort so. Nothing here says how somebody identifies.
- Errors differ between groups: old and very young faces, the label `other`, and photographs unlike
  UTKFace's (mostly portraits found on the web) are read worse. Measure on your own labelled images
  with `facetag evaluate` before you rely on a figure.
- Meant for describing image collections as a whole. Not for identifying, admitting, ranking or
  pricing people, and not for a decision about any single person. No face embedding is kept.
"""


def write_card(manifest: Mapping[str, Any]) -> str:
    """Return the card, in Markdown, of a bundle with this manifest."""
    samples, network = manifest["samples"], manifest["network"]
    dropped = "; ".join(f"{count} {reason}" for reason, count in samples["dropped"].items())
    parts = [
        f"# facetag network {manifest['version']}",
        (
            "Predicts the **apparent** age, gender and race of a face that MTCNN has found. "
            f"{network['backbone']} at {network['input_size']} pixels with three heads, "
            f"{len(manifest['shards'])} training shards, {samples['training']} images fitted on, "
            f"{samples['validation']} held out for validation. "
            f"Dropped beforehand: {dropped or 'none'}."
        ),
        *_measured(manifest),
        LABELS.strip(),
        TERMS + _origin(manifest["training"]["starting_weights"]).rstrip(),
        "## Provenance",
        "\n".join(
            [f"- weights: SHA-256 `{manifest['weights_sha256']}`"]
            + [
                f"- shard `{shard['name']}`: SHA-256 `{shard['sha256']}`"
                for shard in manifest["shards"]
            ]
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _origin(start: Mapping[str, str] | None) -> str:
    if start is None:
        return "- The backbone started from random weights."
    if start["sha256"] == NSFWJS_SHA256:
        return NSFWJS_NOTICE
    return (
        f"- The backbone started from `{start['file']}` (SHA-256 `{start['sha256']}`): "
        "the terms of that file apply as well."
    )


def _measured(manifest: Mapping[str, Any]) -> list[str]:
    validation = manifest["metrics"].get("validation")
    test = manifest["metrics"].get("test")
    parts = []
    if test:
        parts += [
            "## Measured",
            (
                f"`{test['command']}` printed on {test['date']}, over {test['table']['n']} images "
                f"({test['machine']}). Every image goes through detector and crop as in the "
                "service; nothing validly labelled is dropped. The test shard had no part in "
                "fitting or choosing. The paper's column is the student paper's Table 1, on its "
                "own split."
            ),
            _rows(test["table"], validation),
        ]
    elif validation:
        parts += ["## Measured", "On the validation images only.", _rows(validation, None)]
    return parts


def _rows(table: Mapping[str, Any], validation: Mapping[str, Any] | None) -> str:
    lines = ["| | this network | paper | validation |", "| --- | ---: | ---: | ---: |"]
    for head in ("age", "gender", "race"):
        for name, value in table.get(head, {}).items():
            paper = PAPER[head].get(name)
            held_out = (validation or {}).get(head, {}).get(name)
            lines.append(
                f"| {head}: {MEASURES[name]} | {_figure(value)} | {_figure(paper)} "
                f"| {_figure(held_out)} |"
            )
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}" if value > 1.5 else f"{value:.4f}"
