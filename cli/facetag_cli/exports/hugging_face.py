"""Write results as an ImageFolder of Hugging Face `datasets`: `metadata.jsonl` beside the photos.

The layout is that of https://huggingface.co/docs/datasets/image_dataset.
"""

from collections.abc import Iterable
from pathlib import Path

from facetag.atomic_write import atomic_open_text, atomic_write
from facetag.client.api_client import Line
from facetag.heads import HEADS
from facetag.results.name_escapes import dump_json, escape_name
from facetag_cli.exports.face_attributes import flat_attributes, labelled_heads, was_labelled
from facetag_cli.exports.photo_links import link_name, link_photo, require_apart

COLUMNS = (
    "confidence",
    "age",
    "gender",
    "gender_probability",
    "race",
    "race_probability",
    "reviewed",
)
"""The columns of each face, in lists as long as that of the boxes."""
CARD = """\
---
configs:
- config_name: default
  data_files:
  - split: train
    path: "**"
---
Apparent age, gender and race, as facetag labels them. Load this folder by its path:
`datasets.load_dataset("FOLDER")`.
"""
"""A card that makes all photos one split: a folder or a photo may be named as one, such as test."""
_TEXTS = frozenset({"gender", "race", "reviewed"})


def write_hugging_face(lines: Iterable[Line], target: Path, photos: Path) -> int:
    """Write `metadata.jsonl`, a card, and links to the photos; return how many photos.

    `file_name` is that of the link (`link_name`), and `name` that of the photo in the results.
    Heads without a label in any face have no columns. Raises InputInvalid as `link_photo`
    does, and if the target is the photos' folder.
    """
    require_apart(target, photos)
    target.mkdir(parents=True, exist_ok=True)
    shown = [line for line in lines if was_labelled(line)]
    heads = labelled_heads(face for line in shown for face in line["faces"])
    off = tuple(head.name for head in HEADS if head.name not in heads)
    columns = [name for name in COLUMNS if not name.startswith(off)]
    with atomic_open_text(target / "metadata.jsonl") as file:
        for line in shown:
            name = link_name(line["image"])
            link_photo(photos, line["image"], target / name)
            faces = [flat_attributes(face) for face in line["faces"]]
            objects = {"bbox": [face["box"] for face in line["faces"]]}
            objects |= {
                column: [face.get(column, _unknown(column)) for face in faces] for column in columns
            }
            entry = {
                "file_name": name,
                "name": escape_name(line["image"]),
                "model": line["model"],
                "objects": objects,
            }
            file.write(dump_json(entry) + "\n")
    atomic_write(target / "README.md", CARD)
    return len(shown)


def _unknown(column: str) -> str | None:
    # Arrow's JSON reader moves texts to other photos where a list before them holds only nulls.
    return "" if column in _TEXTS else None
