"""Writes samples as a shard, for programs that change what is in one."""

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from facetag_trainer.data.shards import Sample


def write_shard(path: Path, samples: Iterable[Sample]) -> None:
    """Write the samples' images as a tar, byte for byte, under their names, which state labels."""
    with tarfile.open(path, "w") as archive:
        for sample in samples:
            member = tarfile.TarInfo(sample.name)
            member.size = len(sample.data)
            archive.addfile(member, io.BytesIO(sample.data))
