"""The search space of `facetag tune`, as data, and the plans that its values give."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from facetag.vision.network.backbones import FROZEN_LAYERS
from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.fit.fit_plan import FitPlan

TrialValues = Mapping[str, Any]
"""A value for each parameter, by name."""


@dataclass(frozen=True, slots=True)
class Range:
    """A parameter and its range; its name is a field of NetworkSpec or of FitPlan."""

    name: str
    kind: Literal["logarithmic", "linear", "choice"]
    low: float = 0.0
    high: float = 0.0
    choices: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the range as a study states it."""
        return {**asdict(self), "choices": list(self.choices)}


SHARED = (
    Range("weight_decay", "logarithmic", 1e-3, 0.3),
    Range("dropout", "linear", 0.1, 0.6),
    Range("hidden_units", "choice", choices=(64, 128, 256, 512)),
    Range("batch_size", "choice", choices=(16, 32, 64)),
    Range("label_smoothing", "linear", 0.0, 0.2),
    Range("age_weight", "logarithmic", 2.0, 40.0),
    Range("mixup", "linear", 0.0, 0.4),
)
FITTED_FURTHER = Range("learning_rate", "logarithmic", 5e-5, 2e-3)
FITTED_FROM_NOTHING = Range("learning_rate", "logarithmic", 2e-4, 1e-2)
"""Layers that start from random weights need larger steps."""
INCEPTION_FROZEN = Range("frozen_layers", "choice", choices=(0, 52, 101, 165, 229, 311))
"""No layers, the paper's, and all up to the ends of the blocks `mixed3`, 5, 7 and 10."""


def search_space(network: str, *, given_weights: bool) -> tuple[Range, ...]:
    """Return the search space of a network, with or without starting weights of its backbone.

    The number of frozen layers is searched for `inceptionv3` with starting weights alone.
    """
    if network == "inceptionv3" and given_weights:
        return (FITTED_FURTHER, *SHARED, INCEPTION_FROZEN)
    return (FITTED_FROM_NOTHING, *SHARED)


def frozen_layers(network: str, *, given_weights: bool) -> int:
    """Return how many layers are frozen if that is not searched.

    Xception's are always frozen, as in the student paper. Other backbones with random weights have
    no frozen layers.
    """
    return FROZEN_LAYERS[network] if given_weights or network == "xception" else 0


def suggest(trial: Any, space: Sequence[Range]) -> dict[str, Any]:
    """Ask an Optuna trial for a value of every parameter."""
    values = {}
    for one in space:
        if one.kind == "choice":
            values[one.name] = trial.suggest_categorical(one.name, one.choices)
        else:
            logarithmic = one.kind == "logarithmic"
            values[one.name] = trial.suggest_float(one.name, one.low, one.high, log=logarithmic)
    return values


def default_values(space: Sequence[Range]) -> dict[str, Any]:
    """Return the defaults of `facetag train`, or the nearest values in the ranges."""
    known = {**asdict(NetworkSpec()), **FitPlan().to_json()}
    values = {}
    for one in space:
        default = known[one.name]
        if one.kind == "choice":
            values[one.name] = default if default in one.choices else one.choices[0]
        else:
            values[one.name] = min(max(default, one.low), one.high)
    return values


def apply_values(
    spec: NetworkSpec, plan: FitPlan, values: TrialValues
) -> tuple[NetworkSpec, FitPlan]:
    """Return the network and the fit with these values in place of their own.

    Raises ValueError for a name that neither has.
    """
    of_network = {field.name for field in fields(NetworkSpec)}
    of_fit = {field.name for field in fields(FitPlan)}
    unknown = sorted(values.keys() - of_network - of_fit)
    if unknown:
        raise ValueError(f"unknown keys: {', '.join(unknown)}")
    return (
        replace(spec, **{name: value for name, value in values.items() if name in of_network}),
        replace(plan, **{name: value for name, value in values.items() if name in of_fit}),
    )
