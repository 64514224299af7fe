"""A fit in a process of its own: `python -m tests.unit.trainer.fit_tiny CACHE RUN [STEP]`.

With STEP it kills itself, by SIGKILL, after so many steps.
"""

import os
import signal
import sys
from pathlib import Path

from trainer.crop_cache import open_cache
from trainer.fitting import FitPlan
from trainer.training import TrainingPlan, train_network
from vision.network import NetworkSpec

PLAN = TrainingPlan(
    spec=NetworkSpec(backbone="tiny", input_size=32, hidden_units=8),
    fit=FitPlan(epochs=3, batch_size=6, frozen_layers=0, checkpoint_steps=3, learning_rate=0.01),
)
STEPS = 3 * (48 // 6)


def main():
    cache, run, *rest = sys.argv[1:]
    last = int(rest[0]) if rest else None

    def on_step(progress):
        print(progress.epoch, progress.step, flush=True)
        if progress.epoch * progress.steps + progress.step == last:
            os.kill(os.getpid(), signal.SIGKILL)

    train_network(PLAN, open_cache(Path(cache)), Path(run), on_step=on_step)


if __name__ == "__main__":
    main()
