"""Find shards: a path is used as it is, an s3:// URL is downloaded once.

The copy's folder is named after the object's ETag, so that a shard that changed in its bucket is
downloaded again. The copy keeps the object's file name, which manifests and reports state.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from facetag.atomic_write import atomic_open
from facetag.errors import ShardUnreadable
from facetag.storage.client import Download, Storage

SCHEME = "s3://"
URL_PATTERN = re.compile(r"s3://(?P<bucket>[A-Za-z0-9._-]{3,255})/(?P<key>.*[^/])", re.DOTALL)


@dataclass(frozen=True, slots=True)
class StoredShard:
    """A shard in object storage."""

    bucket: str
    key: str

    @property
    def name(self) -> str:
        """The object's file name."""
        return self.key.rsplit("/", 1)[-1]

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}"


ShardSource = Path | StoredShard


def parse_source(text: str) -> ShardSource:
    """Return the shard that a user named; raises ValueError for a URL that names no object."""
    if not text.lower().startswith(SCHEME):
        return Path(text)
    match = URL_PATTERN.fullmatch(SCHEME + text[len(SCHEME) :])
    shard = StoredShard(match["bucket"], match["key"]) if match else None
    if shard is None or shard.name in (".", ".."):
        raise ValueError(f"{text!r} names no object: give s3://BUCKET/KEY.")
    return shard


def download_shard(
    shard: StoredShard,
    storage: Storage,
    folder: Path,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Return the copy of a shard below `folder`, which is downloaded unless it exists.

    `on_progress` gets the bytes so far and of how many; it is not called for a copy that exists.
    Raises ObjectMissing, ObjectRefused, StorageUnavailable, and ShardUnreadable if the copy cannot
    be written.
    """
    with storage.download(shard.bucket, shard.key) as download:
        identity = "\n".join([shard.bucket, shard.key, download.etag])
        place = hashlib.sha256(identity.encode()).hexdigest()[:16]
        path = folder / place / shard.name
        try:
            if not path.exists():
                _write(path, download, on_progress)
        except OSError as error:
            raise ShardUnreadable(
                f"{shard} cannot be copied to {path} ({error.strerror}): make room, or set "
                "XDG_CACHE_HOME to a folder elsewhere."
            ) from error
    return path


def _write(path: Path, download: Download, on_progress: Callable[[int, int], None]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_open(path) as file:
        done = 0
        for chunk in download.chunks:
            file.write(chunk)
            done += len(chunk)
            on_progress(done, download.size)
