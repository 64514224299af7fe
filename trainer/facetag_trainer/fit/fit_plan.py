"""What determines a fit, as data: the defaults are for a network that starts from ImageNet."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from facetag_trainer.data.augment import Jitter


@dataclass(frozen=True, slots=True)
class FitPlan:
    """All that determines a fit, given the cache and the starting weights."""

    epochs: int = 8
    batch_size: int = 32
    learning_rate: float = 3e-4
    weight_decay: float = 0.04
    warm_up_steps: int = 300
    frozen_layers: int = 52
    age_weight: float = 10.0
    """Weight of the squared age error, in units of 50 years."""
    distribution_weight: float = 0.25
    """Weight of the cross entropy of ages, where the age head gives a distribution."""
    seed: int = 1
    checkpoint_steps: int = 200
    jitter: Jitter = field(default_factory=Jitter)
    gender_weight: float = 1.0
    race_weight: float = 1.0
    schedule: Literal["cosine", "plateau"] = "cosine"
    """How the rate falls from its peak: with the steps, or where validation no longer improves."""
    plateau_epochs: int = 2
    """Epochs without a better score before a plateau lowers the rate."""
    plateau_factor: float = 0.3
    keep: Literal["best", "last"] = "best"
    """Which epoch's weights are kept: that of the best validation score, or the last, where the
    rate has fallen to nothing: few images validate, and the best of many scores is luck."""
    stop_after: int | None = 5
    """Epochs without a better validation score that end the fit early; None: never."""
    age_loss: Literal["mse", "huber"] = "mse"
    """`huber` is the squared error up to `huber_years`, and grows linearly beyond them."""
    huber_years: float = 10.0
    label_smoothing: float = 0.05
    """Share of a gender's or race's target that is spread evenly over all labels."""
    mixup: float = 0.2
    """Alpha of the Beta distribution by which two images are mixed; 0.1 to 0.2 is mild, 0 none."""
    teacher_share: float = 0.0
    """Share of a target that is the teachers' answer instead of the label; 0 without teachers."""
    averaging: float = 0.998
    """Decay a step of the weights' running average, which is then measured and kept; 0: none."""
    balanced: tuple[str, ...] = ()
    """Heads whose samples weigh inversely to how frequent their class is."""

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing is {self.label_smoothing}: give 0 to below 1.")
        if not 0 <= self.teacher_share <= 1:
            raise ValueError(f"teacher_share is {self.teacher_share}: give 0 to 1.")
        if not 0 <= self.averaging < 1:
            raise ValueError(f"averaging is {self.averaging}: give 0 to below 1, such as 0.999.")
        if self.distribution_weight <= 0:
            raise ValueError(
                f"distribution_weight is {self.distribution_weight}: give more than 0, as 0.25."
            )
        if self.mixup < 0:
            raise ValueError(f"mixup is {self.mixup}: give 0 or more.")

    @property
    def soft_targets(self) -> bool:
        """Whether targets are probabilities instead of the labels themselves."""
        return self.label_smoothing > 0 or self.mixup > 0 or self.teacher_share > 0

    def weight_of(self, head: str) -> float:
        """Return the weight of a head's loss."""
        weights = {"age": self.age_weight, "gender": self.gender_weight, "race": self.race_weight}
        return weights[head]

    def to_json(self) -> dict[str, Any]:
        """Return the plan as run folders and manifests state it."""
        return {**asdict(self), "balanced": list(self.balanced)}
