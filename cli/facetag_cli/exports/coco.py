"""Write results as COCO JSON: the format for objects in https://cocodataset.org/#format-data."""

from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from facetag.client.api_client import Line
from facetag.results.name_escapes import dump_json
from facetag_cli.exports.face_attributes import flat_attributes, was_labelled
from facetag_cli.exports.result_files import open_output

FACE = 1


def write_coco(lines: Iterable[Line], target: Path) -> int:
    """Write one file: photos that could be read, a box per face with its attributes.

    Returns the number of photos.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for line in lines:
        if not was_labelled(line):
            continue
        images.append(
            {
                "id": len(images) + 1,
                "file_name": line["image"],
                "width": line["width"],
                "height": line["height"],
            }
        )
        for face in line["faces"]:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": len(images),
                    "category_id": FACE,
                    "bbox": face["box"],
                    "area": face["box"][2] * face["box"][3],
                    "iscrowd": 0,
                    "score": face["confidence"],
                    "attributes": flat_attributes(face),
                }
            )
    dataset = {
        "info": {"description": "Apparent age, gender and race", "version": version("facetag")},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": FACE, "name": "face", "supercategory": "person"}],
    }
    text = dump_json(dataset)
    with open_output(target, needed=len(text), private=False) as file:
        file.write(text)
    return len(images)
