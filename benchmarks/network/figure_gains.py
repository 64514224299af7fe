"""Compare networks on held-out images, clean and corrupted, by six figures at once.

The figures are age RMSE, gender accuracy and race accuracy on the images as they are, and the same
on corrupted ones. Gains are paired: both networks read the same images.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from facetag.heads import HEADS_BY_NAME
from facetag.vision.network.mirror_averaging import Outputs
from facetag_trainer.evaluation.bootstrap import Weights, central_interval, draw_beside_all
from facetag_trainer.evaluation.weighted_metrics import measure_main

DRAWS = "figure gains"
"""The same images are drawn for all figures."""


@dataclass(frozen=True, slots=True)
class Gain:
    """How much better a figure is, positive if it is better, and the interval of 95%."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gains by figure, and the mean of the gains, each in its own standard errors."""

    gains: Mapping[str, Gain]
    mean: Gain

    @property
    def is_better(self) -> bool:
        """Whether the mean gain is surely above 0 and no figure is surely worse."""
        return self.mean.low > 0 and all(gain.high >= 0 for gain in self.gains.values())


def measure_figures(labels: Outputs, clean: Outputs, corrupted: Outputs) -> dict[str, Weights]:
    """Return each figure (1 + rounds,): its value, then its values over the bootstrap's draws.

    Labels are (n,) without NaN, outputs (n, units) per head.
    """
    weights = draw_beside_all(len(next(iter(labels.values()))), DRAWS)
    return {
        f"{head}, {name}": measure_main(head, truth, outputs[head], weights)
        for name, outputs in (("clean", clean), ("corrupted", corrupted))
        for head, truth in labels.items()
    }


def judge(before: Mapping[str, Weights], after: Mapping[str, Weights]) -> Verdict:
    """Return by how much the figures after are better than before; see `measure_figures`."""
    gains = {name: _sign(name) * (after[name] - before[name]) for name in before}
    # Two networks that answer alike have no spread, and no gain either.
    spread = {name: gain[1:].std() or 1.0 for name, gain in gains.items()}
    mean = np.mean([gain / spread[name] for name, gain in gains.items()], axis=0)
    return Verdict({name: _summarise(gain) for name, gain in gains.items()}, _summarise(mean))


def _sign(figure: str) -> float:
    return -1.0 if HEADS_BY_NAME[figure.partition(",")[0]].kind == "regression" else 1.0


def _summarise(values: Weights) -> Gain:
    low, high = central_interval(values[1:]) or (-np.inf, np.inf)
    return Gain(float(values[0]), low, high)
