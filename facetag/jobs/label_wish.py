"""Describe what a new job is to label and to keep, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from facetag.jobs.aggregates import EMPTY
from facetag.jobs.new_image import NewImage


@dataclass(frozen=True, slots=True)
class LabelWish:
    """State the attributes to label, whether counts alone are kept, and the purpose.

    `heads` is None for all that the workers label; where it is empty, faces are only found.
    """

    heads: tuple[str, ...] | None = None
    counts_only: bool = False
    purpose: str | None = None

    def columns(self) -> Mapping[str, Any]:
        """Return the columns of the job's row."""
        return {
            "heads": None if self.heads is None else list(self.heads),
            "purpose": self.purpose,
            "aggregate": EMPTY if self.counts_only else None,
        }

    def without_content(self, image: NewImage) -> NewImage:
        """Return the image as the job may know it: without its content if nothing is kept of it."""
        return replace(image, content=None) if self.counts_only else image


ANY_LABELS = LabelWish()
