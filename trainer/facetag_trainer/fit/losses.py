"""The losses of a fit, their weights, the optimizer and its learning rate."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from facetag.heads import HEADS_BY_NAME
from facetag.vision.network.attributes import AGE_SCALE, YEARS
from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.fit.descriptor_head import DESCRIPTOR
from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.schedule import count_drops

LABEL_SPREAD = 2.0
"""Standard deviation, in years, of the age distribution that a label stands for."""


def compile_network(network: keras.Model, spec: NetworkSpec, plan: FitPlan, steps: int) -> None:
    """Compile the network with its losses, their weights and AdamW."""
    losses = {name: _loss(name, spec, plan) for name in spec.heads}
    shares = {name: _loss_weight(name, spec, plan) for name in spec.heads}
    if plan.descriptor_weight:
        losses[DESCRIPTOR], shares[DESCRIPTOR] = "mean_squared_error", plan.descriptor_weight
    network.compile(
        optimizer=_optimizer(plan, steps),
        loss=losses,
        loss_weights=shares,
        jit_compile=keras.backend.backend() == "jax",
    )


def warm_up_steps(plan: FitPlan, steps: int) -> int:
    """Return the steps of the warm-up, at `steps` per epoch: at most a quarter of the fit."""
    return min(plan.warm_up_steps, plan.epochs * steps // 4 + 1)


def plateau_rate(plan: FitPlan, steps: int, place: int, scores: Sequence[float]) -> float:
    """Return the learning rate at step `place` of the whole fit, after epochs with these scores."""
    peak = plan.learning_rate * plan.plateau_factor ** count_drops(scores, plan.plateau_epochs)
    return peak * min(1.0, (place + 1) / warm_up_steps(plan, steps))


def _optimizer(plan: FitPlan, steps: int) -> Any:
    rate: Any = plan.learning_rate
    if plan.schedule == "cosine":
        warm_up = warm_up_steps(plan, steps)
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0,
            decay_steps=max(1, plan.epochs * steps - warm_up),
            alpha=0.002,
            warmup_target=plan.learning_rate,
            warmup_steps=warm_up,
        )
    averaging = {"use_ema": True, "ema_momentum": plan.averaging} if plan.averaging else {}
    optimizer = keras.optimizers.AdamW(rate, weight_decay=plan.weight_decay, **averaging)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return optimizer


def _loss(name: str, spec: NetworkSpec, plan: FitPlan) -> Any:
    kind = HEADS_BY_NAME[name].kind
    if kind == "binary":
        return "binary_crossentropy"
    if kind == "categorical":
        soft = "categorical_crossentropy"
        return soft if plan.soft_targets else f"sparse_{soft}"
    if spec.age_output == "distribution":
        return AgeDistributionLoss(plan.age_weight / plan.distribution_weight)
    if plan.age_loss == "huber":
        return keras.losses.Huber(delta=plan.huber_years)
    return "mean_squared_error"


def _loss_weight(name: str, spec: NetworkSpec, plan: FitPlan) -> float:
    weight = plan.weight_of(name)
    if HEADS_BY_NAME[name].kind != "regression":
        return weight
    if spec.age_output == "distribution":
        return plan.distribution_weight
    # The Huber loss is half the squared error near 0.
    return weight / AGE_SCALE**2 * (2 if plan.age_loss == "huber" else 1)


class AgeDistributionLoss(keras.losses.Loss):
    """Cross entropy with the label's distribution, and the squared error of the mean age.

    A label stands for a normal distribution about it, since neighbouring ages look alike (label
    distribution learning; Geng et al. 2013, doi:10.1109/TPAMI.2013.51). The prediction, which is
    the distribution's mean, is fitted by its squared error as well (Pan et al. 2018, "Mean-Variance
    Loss").

    Labels are years (n,), predictions are probabilities (n, 117) of the years 0 to 116. The squared
    error counts in units of 50 years, `mean_weight` times.
    """

    def __init__(self, mean_weight: float) -> None:
        super().__init__(name="age_distribution")
        self._mean_weight = mean_weight

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the losses as (n,)."""
        ages = ops.reshape(ops.cast(y_true, y_pred.dtype), (-1, 1))
        # Torch does not mix NumPy arrays and tensors.
        years = ops.convert_to_tensor(YEARS)
        target = ops.softmax(-0.5 * ops.square((years[None] - ages) / LABEL_SPREAD))
        entropy = -ops.sum(target * ops.log(ops.maximum(y_pred, 1e-7)), axis=-1)
        # Not a matrix product: JAX and torch first trace the loss with the mean alone.
        error = ops.sum(y_pred * years, axis=-1) - ages[:, 0]
        squared = ops.square(error / AGE_SCALE)
        return entropy + self._mean_weight * squared
