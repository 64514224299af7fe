"""Write results as Arrow tables and Parquet: one row per face, with the columns of the CSV."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from itertools import islice
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from facetag.heads import RACE
from facetag.results.csv_rows import COLUMNS, rows_of_line
from facetag.results.image_lines import Line
from facetag.results.line_names import with_text_names

PHOTOS_PER_GROUP = 10_000
"""Photos per group of rows: some megabytes of memory, whatever the size of the collection."""

_TYPES: dict[str, pa.DataType] = {
    **dict.fromkeys(("image", "error_message"), pa.string()),
    **dict.fromkeys(("width", "height", "x", "y", "face_width", "face_height"), pa.int32()),
    **dict.fromkeys(("face", "age_low", "age_high", "turned"), pa.int32()),
    **dict.fromkeys(("confidence", "age", "gender_probability"), pa.float64()),
    **{f"race_{label}": pa.float64() for label in RACE.labels},
}
_FEW_VALUES = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema([(name, _TYPES.get(name, _FEW_VALUES)) for name in COLUMNS])
"""The columns of the CSV results; text with few distinct values is dictionary-encoded."""


def to_table(lines: Iterable[Line]) -> pa.Table:
    """Return all results as one table; a photo without a face has one row."""
    return pa.Table.from_batches(_batches(lines), schema=SCHEMA).unify_dictionaries()


def write_parquet(lines: Iterable[Line], file: IO[bytes]) -> None:
    """Write results as Parquet, and how they came about as `facetag` in the file's metadata."""
    versions: Counter[str] = Counter()
    photos = 0

    def counted() -> Iterator[Line]:
        nonlocal photos
        for line in lines:
            photos += 1
            if line["model"]:
                versions[line["model"]] += 1
            yield line

    with pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
        for batch in _batches(counted()):
            writer.write_batch(batch)
        facts = {
            "program": f"facetag {version('facetag')}",
            "photos": photos,
            "photos_by_network": dict(versions),
            "labels": "apparent age, gender and race, as UTKFace's labellers saw them",
        }
        writer.add_key_value_metadata({"facetag": json.dumps(facts)})


def _batches(lines: Iterable[Line]) -> Iterator[pa.RecordBatch]:
    coming = iter(lines)
    while group := list(islice(coming, PHOTOS_PER_GROUP)):
        # No cell of a table is a formula.
        rows = [row for line in group for row in rows_of_line(with_text_names(line), raw=True)]
        columns: list[tuple[Any, ...]] = list(zip(*rows, strict=True))
        arrays = [
            _to_array(cells, field.type) for cells, field in zip(columns, SCHEMA, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _to_array(cells: tuple[Any, ...], kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        texts = [None if cell is None else str(cell) for cell in cells]
        return pa.array(texts, pa.string()).dictionary_encode().cast(kind)
    return pa.array(cells, kind)
