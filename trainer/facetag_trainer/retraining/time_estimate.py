"""Estimate how long a retraining will take, from the speed of its first reads."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from facetag.atomic_write import atomic_write
from facetag_trainer.retraining.outputs.output_cache import Pace

PASSES_OF_STEP = {"float32": 10, "mixed_bfloat16": 5}
"""Images that a compiled network reads in the time in which one is fitted on, by precision."""
COMPILATIONS_OF_FIT = 3
"""Networks that are compiled for reading in the time in which the step of a fit is compiled."""
PACE = "pace.json"


@dataclass(frozen=True, slots=True)
class RetrainingWork:
    """The work of a retraining, counted in images."""

    new: int
    """New training images, which every epoch shows."""
    replayed: int
    """Replayed training images, which one epoch each shows."""
    held_out: int
    epochs: int
    points: int
    """Weights between which the validation images choose; these are a quarter of `held_out`."""
    reads: int
    """Passes per image that is read: two with its mirror image."""
    precision: str

    def estimate(self, pace: Pace, *, epochs_done: int | None = None) -> float:
        """Return the seconds that all of it takes, or what is left after so many epochs.

        The champion reads what is fitted on and what is held out, the candidate what is held out:
        as it is, and corrupted.
        """
        epochs = self.epochs - (epochs_done or 0)
        shown = epochs * (self.new + self.replayed / self.epochs)
        passes = shown * PASSES_OF_STEP.get(self.precision, max(PASSES_OF_STEP.values()))
        passes += self.points * self.held_out / 4
        passes += 2 * self.held_out * self.reads
        if epochs_done is None:
            passes += (self.new + self.replayed + self.held_out) * self.reads
        compiled = self.points + 1 + (COMPILATIONS_OF_FIT if epochs else 0)
        # `images_per_s` counts images with their mirror images.
        return passes / (pace.images_per_s * self.reads) + compiled * pace.compile_s


def estimate_once(
    work: RetrainingWork, run: Path, epochs_done: int, tell: Callable[[float], None]
) -> Callable[[Pace], None]:
    """Return a function that takes the pace and tells the seconds that the work will take.

    The pace is kept in the run's folder, so that a resumed retraining tells at once what is left.
    """
    path = run / PACE
    if path.exists():
        kept = Pace(**json.loads(path.read_text()))
        tell(work.estimate(kept, epochs_done=epochs_done))
        return lambda pace: None

    def take(pace: Pace) -> None:
        run.mkdir(parents=True, exist_ok=True)
        atomic_write(path, json.dumps(asdict(pace)), sole_writer=True)
        tell(work.estimate(pace))

    return take
