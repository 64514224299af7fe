"""Write results as a FiftyOneImageDetectionDataset, which FiftyOne imports from its folder.

The layout is that of https://docs.voxel51.com/user_guide/import_datasets.html.
"""

from collections.abc import Iterable
from itertools import chain, count
from pathlib import Path, PurePosixPath
from typing import Any

from facetag.atomic_write import atomic_write
from facetag.client.api_client import Line
from facetag.results.name_escapes import dump_json
from facetag_cli.exports.face_attributes import flat_attributes, relative_box, was_labelled
from facetag_cli.exports.photo_links import link_name, link_photo, require_apart

FACE = "face"


def write_fiftyone(lines: Iterable[Line], target: Path, photos: Path) -> int:
    """Write `labels.json`, and links to the photos below `data/`; return how many photos.

    FiftyOne knows photos by their names without the extension: a second one gets a number.
    """
    require_apart(target / "data", photos)
    labels: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        if not was_labelled(line):
            continue
        path = PurePosixPath(link_name(line["image"]))
        stem = str(path.with_suffix(""))
        numbered = (f"{stem}-{number}" for number in count(2))
        key = next(key for key in chain([stem], numbered) if key not in labels)
        link_photo(photos, line["image"], target / "data" / f"{key}{path.suffix}")
        labels[key] = [_to_detection(line, face) for face in line["faces"]]
    target.mkdir(parents=True, exist_ok=True)
    content = dump_json({"classes": [FACE], "labels": labels})
    atomic_write(target / "labels.json", content)
    return len(labels)


def _to_detection(line: Line, face: dict[str, Any]) -> dict[str, Any]:
    attributes = flat_attributes(face)
    return {
        "label": FACE,
        "bounding_box": relative_box(face, line["width"], line["height"]),
        "confidence": attributes.pop("confidence"),
        "attributes": attributes,
    }
