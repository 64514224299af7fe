"""Find the shares under which faces' answers are likeliest, by expectation maximization.

Sources: Saerens, Latinne and Decaestecker 2002, "Adjusting the Outputs of a Classifier to New a
Priori Probabilities: A Simple Procedure", Neural Computation 14; Varadhan and Roland 2008, "Simple
and Globally Convergent Methods for Accelerating the Convergence of Any EM Algorithm", Scandinavian
Journal of Statistics 35.
"""

from collections.abc import Callable

import numpy as np

from facetag.quantification.held_out_answers import Values

PSEUDO_FACES = 1.0
"""Faces that each group is thought to have beforehand: groups that answers hardly tell apart, such
as neighbouring bands of age, otherwise swallow one another."""
MOST_ROUNDS = 200
TOLERANCE = 1e-6


def estimate_shares(
    likelihoods: Values, weights: Values | None = None, start: Values | None = None
) -> Values:
    """Return the shares (groups,) that explain likelihoods (n, groups), 1 in sum.

    `weights` (n,) say how often each face counts. Without faces all groups are equal.
    """
    faces, groups = likelihoods.shape
    weights = np.ones(faces) if weights is None else weights
    total = weights.sum() + PSEUDO_FACES * groups

    def renew(shares: Values) -> Values:
        # Not by BLAS, whose threads wait for one another on a busy machine.
        scale = weights / np.einsum("ng,g->n", likelihoods, shares)
        renewed: Values = (shares * np.einsum("n,ng->g", scale, likelihoods) + PSEUDO_FACES) / total
        return renewed

    return find_fixed_point(renew, np.full(groups, 1 / groups) if start is None else start)


def find_fixed_point(renew: Callable[[Values], Values], shares: Values) -> Values:
    """Return the shares (groups,) that `renew` moves no more, from others that are 1 in sum.

    Two rounds tell where the rounds lead. A stride there saves most of them.
    """
    for _ in range(MOST_ROUNDS):
        once = renew(shares)
        moved = once - shares
        if np.abs(moved).max() < TOLERANCE:
            return once
        twice = renew(once)
        turned = twice - once - moved
        stride = np.sqrt((moved**2).sum() / max((turned**2).sum(), np.finfo(float).tiny))
        ahead = shares + 2 * stride * moved + stride**2 * turned
        # Too long a stride leaves the shares that there can be.
        shares = renew(ahead) if stride > 1 and ahead.min() > 0 else twice
    return shares
