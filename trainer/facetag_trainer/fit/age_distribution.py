"""The loss of an age head that gives each year a probability.

The label stands for a normal distribution about it, since neighbouring ages look alike (label
distribution learning; Geng et al. 2013, doi:10.1109/TPAMI.2013.51), and what is predicted, the
distribution's mean, is fitted by its squared error as well (Pan et al. 2018, "Mean-Variance Loss").
"""

from typing import Any

import keras
from keras import ops

from facetag.vision.network.attributes import AGE_SCALE, YEARS

LABEL_SPREAD = 2.0
"""Standard deviation, in years, of the ages that a label stands for."""


class AgeDistributionLoss(keras.losses.Loss):
    """Cross entropy with the label's distribution, and the squared error of the mean age.

    Labels are years (n,), predictions are probabilities (n, 117) of the years 0 to 116. The squared
    error counts in units of 50 years, `mean_weight` times.
    """

    def __init__(self, mean_weight: float) -> None:
        super().__init__(name="age_distribution")
        self._mean_weight = mean_weight

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the losses (n,)."""
        ages = ops.reshape(ops.cast(y_true, y_pred.dtype), (-1, 1))
        # Torch takes no NumPy array beside a tensor.
        years = ops.convert_to_tensor(YEARS)
        target = ops.softmax(-0.5 * ops.square((years[None] - ages) / LABEL_SPREAD))
        entropy = -ops.sum(target * ops.log(ops.maximum(y_pred, 1e-7)), axis=-1)
        # A sum, not a product of matrices: JAX and torch first trace the loss with the mean alone.
        error = ops.sum(y_pred * years, axis=-1) - ages[:, 0]
        squared = ops.square(error / AGE_SCALE)
        return entropy + self._mean_weight * squared
