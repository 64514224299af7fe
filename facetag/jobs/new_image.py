"""Describe a job that is being made: an image of it, what is to be labelled and kept, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from facetag.jobs.aggregates import EMPTY


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image to label: its bucket and key, its name in the results, and its content if known.

    Raises ValueError for text that PostgreSQL cannot hold (a zero character, half a surrogate).
    """

    key: str
    name: str
    bucket: str
    content: bytes | None = None

    def __post_init__(self) -> None:
        for text in (self.key, self.name, self.bucket):
            if "\0" in text:
                raise ValueError("names and keys must not hold the character U+0000")
            # A flag of the string, found without reading it: a job may have 200,000 strings.
            if text.isascii():
                continue
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise ValueError("names and keys must be valid Unicode") from error


@dataclass(frozen=True, slots=True)
class LabelWish:
    """State the attributes to label, whether counts alone are kept, the purpose, and more.

    `heads` is None for all that the workers label; where it is empty, faces are only found. With
    `keep_photos`, the photos stay as long as the job, not only until it has ended.
    """

    heads: tuple[str, ...] | None = None
    counts_only: bool = False
    purpose: str | None = None
    keep_photos: bool = True

    def columns(self) -> Mapping[str, Any]:
        """Return the columns of the job's row."""
        return {
            "heads": None if self.heads is None else list(self.heads),
            "purpose": self.purpose,
            "keep_photos": self.keep_photos,
            "aggregate": EMPTY if self.counts_only else None,
        }

    def without_content(self, image: NewImage) -> NewImage:
        """Return the image as the job may know it: without its content if nothing is kept of it."""
        return replace(image, content=None) if self.counts_only else image


ANY_LABELS = LabelWish()
