"""State which losses the promotion gate allows on earlier and on new images.

An operator says which images the service labels from now on: those like the new shards, those like
the earlier ones, or both. On images that are served, no measure may be lost. On others, a bounded
loss is the price of a gain.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Serves = Literal["both", "new", "earlier"]
"""The images that the service labels from now on: like the new shards, the earlier ones, or both"""
EARLIER, NEW = "earlier", "new"
Margins = Mapping[str, tuple[float, float]]
"""The largest loss by head: over all images, and in a group (in years, or as a share)."""


@dataclass(frozen=True, slots=True)
class LossBounds:
    """The losses that are allowed on one kind of images."""

    margins: Margins = field(default_factory=dict)
    """Wider in groups: of 100 images, one is a whole point. Heads that are absent have none."""
    served: bool = True
    """If images are served, a loss fails if it is significant or beyond the margin; otherwise only
    if it is both."""
    gain: bool = False
    """Whether one measure over all images must be significantly better."""

    def margin(self, head: str, *, group: bool) -> float:
        """Return the largest loss of a head's measure; infinite if no margin is stated."""
        return self.margins.get(head, (np.inf, np.inf))[1 if group else 0]


SERVED_EARLIER = LossBounds({"age": (0.2, 1.0), "gender": (0.01, 0.05), "race": (0.01, 0.05)})
"""The margins keep small losses from adding up week by week."""
SERVED_NEW = LossBounds()
"""A new shard holds out few images, whose losses are often chance: only significant ones fail."""
SERVED_ALONE = LossBounds(gain=True)
ELSEWHERE = LossBounds(
    {"age": (0.5, 2.0), "gender": (0.02, 0.1), "race": (0.02, 0.1)}, served=False
)

BOUNDS: Mapping[Serves, Mapping[str, LossBounds]] = {
    "both": {EARLIER: SERVED_EARLIER, NEW: SERVED_NEW},
    "new": {EARLIER: ELSEWHERE, NEW: SERVED_ALONE},
    "earlier": {EARLIER: SERVED_EARLIER, NEW: ELSEWHERE},
}
"""The bounds on earlier and on new images, by what is served."""
