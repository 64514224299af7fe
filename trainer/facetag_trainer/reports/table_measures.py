"""List the measures of the paper's Table 1 and those beside it: name, unit, direction, format."""

from dataclasses import dataclass

MISSING = "–"


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure of a head, under the name of its field in tables and manifests."""

    head: str
    field: str
    name: str
    unit: str = ""
    more_is_worse: bool = False
    paper: float | None = None
    """The figure in Table 1 of the student paper (InceptionV3)."""

    @property
    def title(self) -> str:
        """The name with its unit, for the rows of a table whose head is known."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    @property
    def full_name(self) -> str:
        """The name with its head, for a sentence."""
        return f"{self.head} {self.name}"

    def format(self, value: float | None) -> str:
        """Return a figure as text: years with two decimals, shares with four."""
        if value is None:
            return MISSING
        return f"{value:.2f}" if self.unit else f"{value:.4f}"

    def format_interval(self, interval: tuple[float, float] | None) -> str:
        """Return an interval as text, or a dash if there is none."""
        if not interval:
            return MISSING
        return f"{self.format(interval[0])} to {self.format(interval[1])}"


_MEASURES = (
    Measure("age", "rmse", "RMSE", "years", more_is_worse=True, paper=8.70),
    Measure("age", "mae", "MAE", "years", more_is_worse=True),
    Measure("age", "cs5", "within 5 years"),
    Measure("age", "bias", "mean error", "years"),
    Measure("age", "coverage", "in the stated range"),
    Measure("gender", "accuracy", "accuracy", paper=0.9239),
    Measure("gender", "f1", "F1 (female)", paper=0.9191),
    Measure("gender", "precision", "precision (female)", paper=0.9272),
    Measure("gender", "recall", "recall (female)", paper=0.9112),
    Measure("gender", "auc", "AUC", paper=0.9783),
    Measure("gender", "ece", "calibration error (ECE)", more_is_worse=True),
    Measure("race", "accuracy", "accuracy", paper=0.8307),
    Measure("race", "macro_f1", "macro F1", paper=0.7110),
    Measure("race", "ece", "calibration error (ECE)", more_is_worse=True),
)
_BY_FIELD = {(measure.head, measure.field): measure for measure in _MEASURES}


def find_measure(head: str, field: str) -> Measure:
    """Return the measure of a head under the name of its field; raises KeyError."""
    return _BY_FIELD[head, field]


MAIN = tuple(
    find_measure(*one) for one in (("age", "rmse"), ("gender", "accuracy"), ("race", "accuracy"))
)
"""The measure of each head that stands for the others; the promotion gate compares it."""
