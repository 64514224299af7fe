"""Read the headers of a tar without trusting the sizes that they state."""

import tarfile
from collections.abc import Iterator

MAX_NAME_BYTES = 2**20
HEADER_TYPES = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
"""Members that belong to the next one's header."""


class BoundedTarInfo(tarfile.TarInfo):
    """The header of a member; long names and the like, which tarfile reads at once, are bounded."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "BoundedTarInfo":
        """Return the header in a block; raises tarfile.ReadError for a size that cannot be.

        Also for a damaged header: tarfile would take it for the tar's end, and leave out the
        members that follow without a word.
        """
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            # A tar ends with a block of zeros, or with its file.
            if any(buf):
                raise tarfile.ReadError(f"a member's header is damaged: {error}") from error
            raise
        _check_size(header)
        if header.type in HEADER_TYPES and header.size > MAX_NAME_BYTES:
            raise tarfile.ReadError(f"it has a name of {header.size} bytes")
        return header


def list_headers(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the header of each member; raises tarfile.ReadError for a size that cannot be.

    A negative size leads back to an earlier member, and so round for ever.
    """
    for member in archive:
        _check_size(member)
        yield member


def _check_size(member: tarfile.TarInfo) -> None:
    if member.size < 0:
        raise tarfile.ReadError(f"a member states a size of {member.size} bytes")
