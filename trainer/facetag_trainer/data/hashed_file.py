"""Hash a file while somebody reads it, so that it is read once for its digest and its content."""

import hashlib
import io
from pathlib import Path
from typing import Any

READ_BYTES = 2**20


class HashedFile(io.FileIO):
    """A file whose bytes are hashed in order, as a reader comes past them for the first time.

    A reader that jumps forward makes it read what lies between; what is read again is not hashed
    again.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rb")
        self._sha256 = hashlib.sha256()
        self._hashed = 0
        """Bytes from the start that are hashed."""

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer and return the number of bytes."""
        place = self.tell()
        count = super().readinto(buffer) or 0
        if place <= self._hashed < place + count:
            self._sha256.update(memoryview(buffer)[self._hashed - place : count])
            self._hashed = place + count
        return count

    def seek(self, place: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a place, and hash what lies before it; a place from the end is not hashed to."""
        target = self.tell() + place if whence == io.SEEK_CUR else place
        if whence != io.SEEK_END and target > self._hashed:
            self._hash_to(target)
        return super().seek(place, whence) if whence == io.SEEK_END else super().seek(target)

    def hash_rest(self) -> str:
        """Hash to the end, and return the SHA-256 of the whole file in hexadecimal."""
        self._hash_to(None)
        return self._sha256.hexdigest()

    def _hash_to(self, end: int | None) -> None:
        super().seek(self._hashed)
        buffer = bytearray(READ_BYTES)
        while end is None or self._hashed < end:
            wanted = READ_BYTES if end is None else min(READ_BYTES, end - self._hashed)
            if not self.readinto(memoryview(buffer)[:wanted]):
                return
