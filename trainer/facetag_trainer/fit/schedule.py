"""Decide by a fit's history when the learning rate falls on a plateau, and when to stop.

Both depend on the scores so far alone, so a resumed fit decides as an uninterrupted one.
"""

from collections.abc import Sequence


def count_drops(scores: Sequence[float], patience: int) -> int:
    """Return how often plateaus have lowered the rate, given the scores of the epochs.

    Smaller scores are better. After `patience` epochs without a better score the rate falls, and
    the wait starts again.
    """
    drops = waited = 0
    best = float("inf")
    for score in scores:
        if score < best:
            best, waited = score, 0
            continue
        waited += 1
        if waited >= patience:
            drops, waited = drops + 1, 0
    return drops


def is_stalled(scores: Sequence[float], patience: int | None) -> bool:
    """Return whether the best score is `patience` epochs old; None means never."""
    if patience is None or not scores:
        return False
    return len(scores) - 1 - scores.index(min(scores)) >= patience
