"""Read a shard once: its SHA-256, its images and their hashes, for all who ask."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from facetag.errors import ImageUnreadable
from facetag.settings import Settings
from facetag.vision.difference_hash import Hashes, difference_hash
from facetag.vision.image_decoder import decode_image
from facetag_trainer.data.shards import BadSample, Sample, read_shard_once, shard_digest


class ShardIndex:
    """A shard's SHA-256, images and difference hashes; each is read or computed once, when asked.

    The encoded images stay in memory as long as the index. Reading them gives the SHA-256 too: ask
    for them first where both are needed.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        self.path = path
        self._settings = settings
        self._hashes: dict[str, Hashes | ImageUnreadable] = {}

    @property
    def name(self) -> str:
        """The shard's file name."""
        return self.path.name

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file, in hexadecimal; raises ShardUnreadable."""
        return self._read[1] if "_read" in vars(self) else shard_digest(self.path)

    @cached_property
    def items(self) -> Sequence[Sample | BadSample]:
        """All images in the shard's order; raises ShardUnreadable."""
        return self._read[0]

    @cached_property
    def _read(self) -> tuple[Sequence[Sample | BadSample], str]:
        return read_shard_once(self.path)

    @cached_property
    def samples(self) -> dict[str, Sample]:
        """The labelled images by their SHA-256; of identical images the first."""
        found: dict[str, Sample] = {}
        for item in self.items:
            if isinstance(item, Sample):
                found.setdefault(item.sha256, item)
        return found

    def hash_image(self, sample: Sample) -> Hashes:
        """Return the difference hash (32,) of an image; raises ImageUnreadable."""
        digest = sample.sha256
        if digest not in self._hashes:
            try:
                self._hashes[digest] = hash_sample(sample, self._settings)
            except ImageUnreadable as error:
                self._hashes[digest] = error
        found = self._hashes[digest]
        if isinstance(found, ImageUnreadable):
            raise found
        return found


def index_shards(paths: Iterable[Path], settings: Settings) -> list[ShardIndex]:
    """Return an index per shard; nothing is read yet."""
    return [ShardIndex(path, settings) for path in paths]


def shards_of_images(shards: Sequence[ShardIndex]) -> dict[str, ShardIndex]:
    """Return the first shard that holds an image, by the image's SHA-256."""
    found: dict[str, ShardIndex] = {}
    for shard in shards:
        for digest in shard.samples:
            found.setdefault(digest, shard)
    return found


def hash_sample(sample: Sample, settings: Settings) -> Hashes:
    """Decode an image and return its difference hash (32,); raises ImageUnreadable."""
    return difference_hash(
        decode_image(
            sample.data, formats=settings.image_formats, max_pixels=settings.max_image_pixels
        )
    )
