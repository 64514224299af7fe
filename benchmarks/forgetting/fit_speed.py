"""Compare how many images a second `facetag train` and `facetag retrain` fit on.

Both fit the same network on the same crops, some steps of one and then of the other, so that
whatever else the machine does slows both alike.

    python -m benchmarks.forgetting.fit_speed path/to/part-1.tar --precision mixed_bfloat16
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.harness.machine import describe_machine, in_words
from facetag.heads import HEADS_BY_NAME
from facetag.settings import load_settings
from facetag.vision.bundle import Bundle, open_bundle
from facetag_trainer.data.cache_preparation import PreparePlan, prepare_cache
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.fit.batches import CropBatch
from facetag_trainer.fit.distillation import Lessons
from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.loop import make_feeder
from facetag_trainer.fit.losses import compile_network
from facetag_trainer.fit.training_run import TrainingPlan, start_network
from facetag_trainer.retraining.candidate import RetrainingPlan

TRAIN, RETRAIN = "train", "retrain"
WITHIN = 0.1


@click.command(help=__doc__)
@click.argument("shards", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--bundle", type=click.Path(path_type=Path, exists=True), help="The champion.")
@click.option("--precision", default="float32", show_default=True, help="As of `facetag train`.")
@click.option("--steps", type=click.IntRange(1), default=10, show_default=True,
              help="Steps of one before the other's turn.")  # fmt: skip
@click.option(
    "--turns", type=click.IntRange(1), default=5, show_default=True, help="Turns of each."
)
@click.option("--cache", type=click.Path(path_type=Path), default=Path("runs/cache"),
              show_default=True, help="Folder of crop caches.")  # fmt: skip
def main(
    shards: Sequence[Path], bundle: Path | None, precision: str, steps: int, turns: int, cache: Path
) -> None:
    """Fit in turns and print the images per second of both."""
    champion = open_bundle(bundle)
    plan = PreparePlan(load_settings(), size=champion.spec.input_size, rule=champion.crop_rule)
    crops = prepare_cache(shards, cache, plan)
    rates = measure_rates(champion, crops, precision, steps=steps, turns=turns)
    click.echo(to_text(rates, in_words(describe_machine())))


def measure_rates(
    champion: Bundle, cache: CropCache, precision: str, *, steps: int, turns: int, batch: int = 32
) -> dict[str, list[float]]:
    """Return the images per second of each turn, for both ways of fitting."""
    training = int((~cache.validation).sum())
    backbone = champion.spec.backbone
    options = {"batch_size": batch}
    plans = {
        TRAIN: FitPlan(batch_size=batch),
        RETRAIN: RetrainingPlan(options=options).fit_plan(training, 0, backbone),
    }
    lines = {name: _fit_steps(champion, cache, plan, precision) for name, plan in plans.items()}
    for line in lines.values():
        # The first step compiles.
        next(line)
    rates: dict[str, list[float]] = {name: [] for name in lines}
    for _ in range(turns):
        for name, line in lines.items():
            began = time.monotonic()
            done = sum(next(line) for _ in range(steps))
            rates[name].append(done / (time.monotonic() - began))
    return rates


def _fit_steps(champion: Bundle, cache: CropCache, fit: FitPlan, precision: str) -> Iterator[int]:
    """Fit step by step, and yield the images of each."""
    plan = TrainingPlan(champion.spec, fit, start=champion, precision=precision)
    lessons = None
    if fit.teacher_share:
        # What the answers are changes nothing in the time.
        count = len(cache.validation)
        answers: dict[str, Any] = {
            name: np.full((count, HEADS_BY_NAME[name].units), 0.5, np.float32)
            for name in champion.spec.heads
        }
        lessons = Lessons(answers, np.full(count, fit.teacher_share, np.float32))
    network = start_network(plan)
    feeder = make_feeder(cache, champion.spec, fit, lessons)
    compile_network(network, champion.spec, fit, feeder.steps)
    batch: CropBatch
    for epoch in range(10**6):
        for batch in feeder.epoch(epoch):
            network.train_on_batch(batch.images, batch.targets, sample_weight=batch.weights)
            yield len(batch.indices)


def to_text(rates: dict[str, list[float]], machine: str) -> str:
    """Return the rates as a table, and whether the retraining is as fast."""
    medians = {name: float(np.median(values)) for name, values in rates.items()}
    ratio = float(np.median(np.divide(rates[RETRAIN], rates[TRAIN])))
    verdict = "HOLDS" if ratio >= 1 - WITHIN else "DOES NOT HOLD"
    return "\n".join(
        [
            machine,
            "",
            "| fit | images per second |",
            "| --- | ---: |",
            *(f"| {name} | {value:.1f} |" for name, value in medians.items()),
            "",
            f"retrain / train: {ratio:.2f}, bound {1 - WITHIN:g}: {verdict}",
        ]
    )


if __name__ == "__main__":
    main()
