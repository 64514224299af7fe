"""The plan of a fit, as data; the defaults suit a network that starts from ImageNet's weights."""

from dataclasses import asdict, field
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from facetag_trainer.data.augmentation import Jitter

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]


@dataclass(
    frozen=True,
    slots=True,
    config=ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False),
)
class FitPlan:
    """All that decides a fit besides the crop cache and the starting weights.

    Raises ValueError for a value that is not allowed.
    """

    epochs: Count = 8
    """Passes over the training images."""
    batch_size: Count = 32
    """Images per step."""
    learning_rate: Positive = 3e-4
    """Peak of the learning rate."""
    weight_decay: NotNegative = 0.04
    """Weight decay of AdamW; biases and batch norms have none."""
    warm_up_steps: Annotated[int, Field(ge=0)] = 300
    """Steps over which the learning rate rises to its peak."""
    frozen_layers: Annotated[int, Field(ge=0)] = 52
    """First layers of the backbone that keep their starting weights."""
    frozen_norms: bool = False
    """Whether the backbone's batch norms keep their starting offsets and statistics."""
    age_weight: NotNegative = 10.0
    """Weight of the squared age error, in units of 50 years."""
    distribution_weight: Positive = 0.25
    """Weight of the cross entropy of ages, if the age head gives a distribution."""
    seed: Annotated[int, Field(ge=0)] = 1
    """Seed of the starting weights, of the order of images and of the augmentation."""
    checkpoint_steps: Count = 200
    """Steps between two checkpoints."""
    jitter: Jitter = field(default_factory=Jitter)
    """Bounds of the random changes of crops."""
    gender_weight: NotNegative = 1.0
    """Weight of the loss of apparent gender."""
    race_weight: NotNegative = 1.0
    """Weight of the loss of apparent race."""
    schedule: Literal["cosine", "plateau"] = "cosine"
    """Decay of the learning rate: `cosine` over all steps, or `plateau`, which multiplies it by
    `plateau_factor` when the validation score stalls."""
    plateau_epochs: Count = 2
    """Epochs without a better score that make a plateau."""
    plateau_factor: BelowOne = 0.3
    """Factor by which a plateau lowers the learning rate."""
    keep: Literal["best", "last"] = "best"
    """Epoch whose weights are kept: the one with the best validation score, or the last. With few
    validation images the best score is luck."""
    stop_after: Count | None = 5
    """Epochs without a better validation score that end the fit, if the best epoch is kept."""
    age_loss: Literal["mse", "huber"] = "mse"
    """Loss of an age head that gives years; `huber` grows linearly beyond `huber_years`."""
    huber_years: Positive = 10.0
    """Age error beyond which the Huber loss grows linearly."""
    label_smoothing: BelowOne = 0.05
    """Share of a target that is spread evenly over all labels."""
    mixup: NotNegative = 0.2
    """Alpha of the Beta distribution by which pairs of images are mixed: 0.1 to 0.2 is mild, 0
    mixes none."""
    teacher_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of a target that is the teachers' answer; the rest is the label. With teachers the
    default is 0.5."""
    descriptor_weight: NotNegative = 0.0
    """Weight of the squared error of face descriptors, if `taught` gives them."""
    averaging: BelowOne = 0.998
    """Decay per step of the weights' running average, which is kept; 0 turns it off."""
    balanced: tuple[Literal["gender", "race"], ...] = ()
    """Heads whose samples are weighted inversely to the frequency of their class."""

    @property
    def soft_targets(self) -> bool:
        """Whether targets are probabilities instead of the labels themselves."""
        return self.label_smoothing > 0 or self.mixup > 0 or self.teacher_share > 0

    @property
    def patience(self) -> int | None:
        """Epochs without a better score that end the fit; None if it always runs to its end."""
        return None if self.keep == "last" else self.stop_after

    def weight_of(self, head: str) -> float:
        """Return the weight of a head's loss."""
        weights = {"age": self.age_weight, "gender": self.gender_weight, "race": self.race_weight}
        return weights[head]

    def to_json(self) -> dict[str, Any]:
        """Return the plan as run folders and manifests state it."""
        return {**asdict(self), "balanced": list(self.balanced)}
