"""Write results as Label Studio tasks with predictions, and the interface that shows them.

The format is that of https://labelstud.io/guide/predictions.
"""

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from facetag.atomic_write import atomic_write
from facetag.client.api_client import Line
from facetag.errors import InputInvalid
from facetag.heads import HEADS
from facetag.results.name_escapes import dump_json
from facetag_cli.exports.face_attributes import (
    flat_attributes,
    labelled_heads,
    relative_box,
    was_labelled,
)

LOCAL_FILES = "/data/local-files/?d="
"""How Label Studio addresses photos below LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT."""
FACE = "Face"
AGE = "age"


def write_label_studio(lines: Iterable[Line], target: Path) -> int:
    """Write the tasks, and the labelling interface beside them as XML; return how many photos.

    Raises InputInvalid if the target is a folder, a device or a pipe.
    """
    if target.exists() and not target.is_file():
        raise InputInvalid(
            f"{target} is no file: give --output a file, since a second one is written beside it."
        )
    shown = [line for line in lines if was_labelled(line)]
    atomic_write(target, dump_json([_to_task(line) for line in shown]))
    heads = labelled_heads(face for line in shown for face in line["faces"])
    atomic_write(target.with_suffix(".xml"), interface(heads))
    return len(shown)


def interface(heads: Collection[str]) -> str:
    """Return the labelling interface: boxes, each with a choice per label and a number for age.

    Heads without a label in any face are left out.
    """
    age = f'  <Number name="{AGE}" toName="image" perRegion="true"/>\n' if AGE in heads else ""
    choices = "\n".join(
        f'  <Choices name="{head.name}" toName="image" perRegion="true">\n'
        + "".join(f'    <Choice value="{label}"/>\n' for label in head.labels)
        + "  </Choices>"
        for head in HEADS
        if head.labels and head.name in heads
    )
    return f"""<View>
  <Image name="image" value="$image"/>
  <RectangleLabels name="face" toName="image"><Label value="{FACE}"/></RectangleLabels>
{choices}
{age}</View>
"""


def _to_task(line: Line) -> dict[str, Any]:
    return {
        "data": {"image": LOCAL_FILES + quote(os.fsencode(line["image"]))},
        "predictions": [
            {
                "model_version": line["model"],
                "result": [
                    one
                    for place, face in enumerate(line["faces"])
                    for one in _to_regions(line, face, f"face-{place}")
                ],
            }
        ],
    }


def _to_regions(line: Line, face: dict[str, Any], region: str) -> Iterator[dict[str, Any]]:
    """Yield the face's box and, under the same id, each of its attributes."""
    share = relative_box(face, line["width"], line["height"])
    names = ("x", "y", "width", "height")
    box: dict[str, Any] = {name: 100 * part for name, part in zip(names, share, strict=True)}
    common = {
        "id": region,
        "to_name": "image",
        "original_width": line["width"],
        "original_height": line["height"],
        "image_rotation": 0,
        "score": face["confidence"],
    }

    flat = flat_attributes(face)
    if "reviewed" in flat:
        common["meta"] = {"text": [f"reviewed: {flat['reviewed']}"]}

    def part(name: str, kind: str, value: Any) -> dict[str, Any]:
        return common | {
            "from_name": name,
            "type": kind,
            "value": box | {"rotation": 0, kind: value},
        }

    yield part("face", "rectanglelabels", [FACE])
    for head in HEADS:
        if head.labels and head.name in flat:
            yield part(head.name, "choices", [flat[head.name]])
    if "age" in flat:
        yield part("age", "number", flat["age"])
