"""Find the photos in a tar file, such as a WebDataset shard, without unpacking it."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

from facetag.errors import InputInvalid
from facetag.inputs.tar_headers import BoundedTarInfo, list_headers

TAR_SUFFIX = ".tar"


def list_members(tar: Path) -> Iterator[tuple[str, int, int]]:
    """Yield the name, the first byte and the size of each file in a tar.

    Raises InputInvalid for a compressed tar, whose files have no place of their own, and for a file
    that is no tar.
    """
    try:
        with tarfile.open(tar, "r:", tarinfo=BoundedTarInfo) as archive:
            for member in list_headers(archive):
                # A sparse file's bytes do not lie there as they are.
                if member.isreg() and not member.issparse():
                    yield member.name.removeprefix("./"), member.offset_data, member.size
    except (tarfile.TarError, OSError) as error:
        raise InputInvalid(
            f"{tar} cannot be read as a tar ({error}). Decompress a .tar.gz first; if the file is "
            "cut off, copy it again."
        ) from error
