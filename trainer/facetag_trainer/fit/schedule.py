"""What a fit's history decides: when the rate falls on a plateau, and when to stop.

Both follow from the scores so far alone, so that a resumed fit decides as an undisturbed one.
"""

from collections.abc import Sequence


def count_drops(scores: Sequence[float], patience: int) -> int:
    """Return how often the rate was lowered by plateaus, given the epochs' scores (less is better).

    After `patience` epochs without a better score the rate falls, and the wait begins anew.
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
    """Return whether the best score is `patience` epochs old; None never stalls."""
    if patience is None or not scores:
        return False
    return len(scores) - 1 - scores.index(min(scores)) >= patience
