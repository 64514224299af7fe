"""Measure how far reviewers agree, and how sure a reviewed sample makes of a share."""

import math
from collections import Counter
from collections.abc import Sequence

Z95 = 1.959964


def cohen_kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Return Cohen's kappa of two reviewers' labels of the same faces (Cohen 1960).

    1 is full agreement, 0 what chance would give. None without pairs, or if both gave one and the
    same label to every face, where kappa is not defined.
    """
    n = len(pairs)
    if n == 0:
        return None
    seen = sum(one == other for one, other in pairs) / n
    first, second = (Counter(side) for side in zip(*pairs, strict=True))
    chance = sum(first[label] * second[label] for label in first) / n**2
    return None if chance == 1 else (seen - chance) / (1 - chance)


def wilson(share: float, n: float) -> tuple[float, float]:
    """Return Wilson's 95% interval of a share among `n` independent faces (Wilson 1927)."""
    if n <= 0:
        return 0.0, 1.0
    z2 = Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def clustered_share(photos: Sequence[tuple[int, int]]) -> tuple[float, tuple[float, float]]:
    """Return a share and its 95% interval from a random sample of photos.

    `photos` holds, per photo, its faces with the label and all its faces. Faces of one photo are
    not independent: the interval is Wilson's with the effective number of faces, which the design
    effect of the ratio estimator gives (Kish 1965; Korn and Graubard 1998).
    """
    faces = sum(n for _, n in photos)
    if faces == 0:
        return 0.0, (0.0, 1.0)
    share = sum(hits for hits, _ in photos) / faces
    simple = share * (1 - share) / faces
    effect = 1.0
    if simple > 0 and len(photos) > 1:
        spread = sum((hits - share * n) ** 2 for hits, n in photos) / faces**2
        effect = max(1.0, spread * len(photos) / (len(photos) - 1) / simple)
    return share, wilson(share, faces / effect)
