"""Let a folder of labelled images be read as the shard that it would make."""

import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facetag.errors import ShardUnreadable
from facetag_trainer.data.shards import IMAGE_SUFFIXES

LABEL_SUFFIX = ".json"


@contextmanager
def open_as_shard(path: Path) -> Iterator[Path]:
    """Yield a shard: `path` itself if it is a file, else a temporary tar of the folder's images.

    Images keep their names below the folder, with the JSON files of labels beside them. Raises
    ShardUnreadable for a folder without images.
    """
    if not path.is_dir():
        yield path
        return
    suffixes = {*IMAGE_SUFFIXES, LABEL_SUFFIX}
    members = sorted(
        one for one in path.rglob("*") if one.suffix.lower() in suffixes and one.is_file()
    )
    if not any(one.suffix.lower() in IMAGE_SUFFIXES for one in members):
        raise ShardUnreadable(f"No images lie in {path}: give a folder of labelled images.")
    with tempfile.TemporaryDirectory(prefix="facetag-") as folder:
        shard = Path(folder) / f"{path.resolve().name}.tar"
        # Two links to one file are two images, or the labels of two.
        with tarfile.open(shard, "w", dereference=True) as archive:
            for one in members:
                archive.add(one, str(one.relative_to(path)), recursive=False)
        yield shard
