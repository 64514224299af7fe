"""Find the shares under which faces' answers are likeliest, by expectation maximization.

Source: Saerens, Latinne and Decaestecker 2002, "Adjusting the Outputs of a Classifier to New a
Priori Probabilities: A Simple Procedure", Neural Computation 14.
"""

import numpy as np

from facetag.quantification.held_out_answers import Values

PSEUDO_FACES = 1.0
"""Faces that each group is thought to have beforehand: groups that answers hardly tell apart, such
as neighbouring bands of age, otherwise swallow one another."""
MOST_ROUNDS = 500
TOLERANCE = 1e-6


def estimate_shares(
    likelihoods: Values, weights: Values | None = None, start: Values | None = None
) -> Values:
    """Return the shares (groups,) that explain likelihoods (n, groups), 1 in sum.

    `weights` (n,) say how often each face counts. Without faces all groups are equal.
    """
    faces, groups = likelihoods.shape
    weights = np.ones(faces) if weights is None else weights
    shares = np.full(groups, 1 / groups) if start is None else start
    total = weights.sum() + PSEUDO_FACES * groups
    for _ in range(MOST_ROUNDS):
        # Not by BLAS, whose threads wait for one another on a busy machine.
        scale = weights / np.einsum("ng,g->n", likelihoods, shares)
        renewed = (shares * np.einsum("n,ng->g", scale, likelihoods) + PSEUDO_FACES) / total
        moved = np.abs(renewed - shares).max()
        shares = renewed
        if moved < TOLERANCE:
            break
    return shares
