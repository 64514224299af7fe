"""Find the photos in a tar file, such as a WebDataset shard, without unpacking it."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

from facetag.errors import InputInvalid
from facetag.inputs.tar_headers import BoundedTarInfo, list_headers

TAR_SUFFIX = ".tar"


def list_members(tar: Path) -> Iterator[tuple[str, int | None, int]]:
    """Yield the name, the first byte and the size of each file in a tar.

    The first byte of a link is None: its bytes stand at another name, or elsewhere. Raises
    InputInvalid for a compressed tar, whose files have no place of their own, and for a file that
    is no tar.
    """
    try:
        with tarfile.open(tar, "r:", tarinfo=BoundedTarInfo) as archive:
            for member in list_headers(archive):
                # No file system and no database holds a name with a zero character.
                name = member.name.removeprefix("./").replace("\0", "")
                # A sparse file's bytes do not lie there as they are.
                if member.isreg() and not member.issparse():
                    yield name, member.offset_data, member.size
                elif member.islnk() or member.issym():
                    yield name, None, 0
    except (tarfile.TarError, OSError) as error:
        raise InputInvalid(
            f"{tar} cannot be read as a tar ({error}). Decompress a .tar.gz first; if the file is "
            "cut off, copy it again."
        ) from error
