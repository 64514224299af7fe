"""A fit in a process of its own: `python -m tests.unit.trainer.tiny_fits PLAN CACHE RUN`.

It prints, a line a step, the epoch, the step, and the samples that the step was fitted on.
"""

import sys
from dataclasses import replace
from pathlib import Path

from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.data.crop_cache import open_cache
from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.training_run import TrainingPlan, train_network

PLAIN = FitPlan(epochs=3, batch_size=6, frozen_layers=0, checkpoint_steps=3, learning_rate=0.01)
PLANS = {
    "plain": PLAIN,
    "everything": replace(
        PLAIN,
        schedule="plateau",
        plateau_epochs=1,
        warm_up_steps=10,
        stop_after=5,
        age_loss="huber",
        label_smoothing=0.1,
        mixup=0.2,
        averaging=0.8,
        balanced=("gender", "race"),
    ),
}
STEPS = 3 * (48 // 6)


def main():
    name, cache, run = sys.argv[1:]
    # One plan has the age as a distribution, whose loss is of our own making.
    age_output = "distribution" if name == "plain" else "value"
    plan = TrainingPlan(
        spec=NetworkSpec(backbone="tiny", input_size=32, hidden_units=8, age_output=age_output),
        fit=PLANS[name],
    )

    def on_step(progress):
        print(progress.epoch, progress.step, *progress.samples, flush=True)

    train_network(plan, open_cache(Path(cache)), Path(run), on_step=on_step)


if __name__ == "__main__":
    main()
