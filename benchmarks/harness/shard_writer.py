"""Write samples as a shard, for programs that change the content of one."""

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from facetag_trainer.data.shards import Sample


def write_shard(path: Path, samples: Iterable[Sample]) -> None:
    """Write the samples' unchanged images as a tar, under their names, which state the labels."""
    with tarfile.open(path, "w") as archive:
        for sample in samples:
            member = tarfile.TarInfo(sample.name)
            member.size = len(sample.data)
            archive.addfile(member, io.BytesIO(sample.data))
