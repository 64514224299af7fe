"""Decide between the estimate for any shares and the one for shares like the held-out ones.

Where the distance between the two is what chance explains, the first only adds noise. Where it is
much larger, the second is biased. Between, both count (firm shrinkage: Gao and Bruce 1997,
"WaveShrink with Firm Shrinkage", Statistica Sinica 7).
"""

import numpy as np

from facetag.quantification.held_out_answers import Values

LOWEST, HIGHEST = 2.0, 5.0
"""Squared distances, in units of what chance explains, up to which the estimate for any shares has
no weight, and from which on it has all. Found by cross-fitting: one half of the held-out faces
calibrated, the other half was drawn from."""
SMALLEST_VARIANCE = 1e-10


def weigh(distance: Values, noise: Values) -> float:
    """Return the weight, 0 to 1, of the estimate for any shares.

    `distance` (groups,) is that between the two estimates, and `noise` (groups,) the variance that
    it would have if the shares were like the held-out ones.
    """
    free = noise > SMALLEST_VARIANCE
    if not free.any():
        return float(np.abs(distance).max() > 0)
    size = (distance[free] ** 2 / noise[free]).mean()
    return float(np.clip((size - LOWEST) / (HIGHEST - LOWEST), 0, 1))
