"""Measure how much a network forgets when it is retrained shard by shard, and what replay keeps.

A network is fitted on the first shard and then retrained on the other shards in turn, as `facetag
retrain` does: once with a share of the earlier images among the new ones, once without, as in the
student paper. Another network is fitted on all shards together, on as many images in total. All are
measured on the held-out images of all shards, without the part used for validation. With
`--by-race`, the same images come in shards of one apparent race each: new data unlike the old.

    python -m benchmarks.forgetting.rounds path/to/part-*.tar --backbone-weights FILE
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from benchmarks.harness.machine import describe_machine, in_words
from facetag.heads import RACE
from facetag.settings import load_settings
from facetag.vision.bundle import Bundle
from facetag.vision.network.mirror_averaging import Mirroring, Outputs
from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.calibration.bundle_calibration import predict_held_out_crops
from facetag_trainer.data.cache_preparation import PreparePlan, prepare_cache, read_clean_set
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.data.shard_index import index_shards, shards_of_images
from facetag_trainer.evaluation.bootstrap import Weights, central_interval, draw_beside_all
from facetag_trainer.evaluation.weighted_metrics import measure_head
from facetag_trainer.fit.training_run import TrainingPlan, train_network
from facetag_trainer.reports.figures import COLOURS, INK, new_figure, save, strip
from facetag_trainer.retraining.candidate import (
    REPLAY,
    RetrainingPlan,
    find_judges,
    retrain_network,
)
from facetag_trainer.retraining.gate.paired_comparison import GATED
from facetag_trainer.retraining.material.replay import join_caches, keep_some

JOINT, REPLAYED, FORGETTING = "joint", "with replay", "without replay"
RACE_ROUNDS = ((0,), (1,), (2, 4), (3,))
"""Codes of apparent race per round with `--by-race`: the two rarest share a round."""


@dataclass(frozen=True, slots=True)
class Rounds:
    """Hold the images of all shards in one cache, and the round in which each is new."""

    cache: CropCache
    number: npt.NDArray[np.intp]
    names: Sequence[str]
    judged: CropCache
    """The images that networks are measured on; no weights are chosen by them."""
    judged_number: npt.NDArray[np.intp]

    def take(self, index: int) -> CropCache:
        """Return the cache of one round."""
        joined = join_caches([(self.cache, np.flatnonzero(self.number == index))])
        shards = dict([list(self.cache.facts["shards"].items())[index]])
        return replace(joined, facts={**joined.facts, "shards": shards})


@click.command(help=__doc__)
@click.argument("shards", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--backbone-weights",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Backbone weights that all fits start from; random weights if not given.",
)
@click.option("--backbone", default="inceptionv3", show_default=True, help="Backbone to fit.")
@click.option(
    "--size", type=click.IntRange(32), default=80, show_default=True, help="Crop side, pixels."
)
@click.option(
    "--epochs", type=click.IntRange(1), default=4, show_default=True, help="Epochs per round."
)
@click.option(
    "--batch-size", type=click.IntRange(1), default=32, show_default=True, help="Images a step."
)
@click.option("--learning-rate", type=float, default=3e-4, show_default=True, help="Peak rate.")
@click.option("--replay", type=click.FloatRange(0, 1), default=REPLAY, show_default=True,
              help="Share of earlier images in each retraining.")  # fmt: skip
@click.option("--by-race", is_flag=True, help="Make shards of one apparent race each.")
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of all fits.")
@click.option(
    "--run",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs/forgetting"),
    show_default=True,
    help="Folder for fits, figures and picture. A killed run continues there.",
)
@click.option("--cache", type=click.Path(path_type=Path), default=Path("runs/cache"),
              show_default=True, help="Folder of crop caches.")  # fmt: skip
def main(
    shards: Sequence[Path],
    backbone_weights: Path | None,
    backbone: str,
    size: int,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    replay: float,
    by_race: bool,
    seed: int,
    run: Path,
    cache: Path,
) -> None:
    """Fit, retrain, and measure after every round; print a table and draw it."""
    machine = describe_machine()
    rounds = divide(shards, size, cache, by_race=by_race)
    options = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
    }
    lines = fit_lines(rounds, NetworkSpec(backbone, size), backbone_weights, options, replay, run)
    found = compare(rounds, lines)
    found["machine"] = in_words(machine)
    (run / "forgetting.json").write_text(json.dumps(found, indent=2) + "\n")
    save({"forgetting": draw_forgetting(found)}, run)
    click.echo(to_table(found))


def divide(shards: Sequence[Path], size: int, root: Path, *, by_race: bool) -> Rounds:
    """Return the shards' images in rounds, by their shard or by apparent race."""
    settings = load_settings()
    cache = prepare_cache(shards, root, PreparePlan(settings, size=size))
    if by_race:
        codes = cache.labels[RACE.name]
        number = np.array(
            [next(i for i, some in enumerate(RACE_ROUNDS) if code in some) for code in codes]
        )
        names = [" and ".join(RACE.labels[code] for code in some) for some in RACE_ROUNDS]
    else:
        indexes = index_shards(shards, settings)
        shard_of = shards_of_images(indexes)
        order = list(cache.facts["shards"].values())
        samples = read_clean_set(indexes)[0].samples
        number = np.array([order.index(shard_of[sample.sha256].sha256) for sample in samples])
        names = list(cache.facts["shards"])
    keep = find_judges(cache)
    return Rounds(cache, number, names, keep_some(cache, keep), number[keep])


def fit_lines(
    rounds: Rounds,
    spec: NetworkSpec,
    weights: Path | None,
    options: Mapping[str, Any],
    replay: float,
    run: Path,
) -> dict[str, list[tuple[int, Outputs]]]:
    """Return, per line of networks, images fitted on and outputs after each round."""
    parts = [rounds.take(index) for index in range(len(rounds.names))]
    # The first fit starts from another network than the champion of these crops.
    from_scratch = {"frozen_norms": False, "teacher_share": 0.0, **options}

    def start(name: str, cache: CropCache, epochs: int) -> Bundle:
        plan = RetrainingPlan(0, options={**from_scratch, "epochs": epochs})
        fit = plan.fit_plan(int((~cache.validation).sum()), 0, spec.backbone)
        training = TrainingPlan(spec, fit, backbone_weights=weights)
        return train_network(training, cache, run / name, on_epoch=tell(name))

    def answer(bundle: Bundle) -> Outputs:
        return predict_held_out_crops(bundle, rounds.judged, mirror=Mirroring())

    first = start("first", parts[0], int(options["epochs"]))
    seen = int(options["epochs"]) * int((~parts[0].validation).sum())
    lines: dict[str, list[tuple[int, Outputs]]] = {}
    for line, share in ((REPLAYED, replay), (FORGETTING, 0.0)):
        bundle, images = first, seen
        lines[line] = [(images, answer(bundle))]
        for index in range(1, len(parts)):
            name = f"{line}-{index + 1}".replace(" ", "-")
            each = RetrainingPlan(share, options=options)
            earlier = parts[:index]
            bundle = retrain_network(
                bundle, parts[index], earlier, each, run / name, on_epoch=tell(name)
            )
            replayed = int(bundle.manifest["replay"]["images"])
            fresh = int(bundle.manifest["samples"]["training"]) - replayed
            images += int(options["epochs"]) * fresh + replayed
            lines[line].append((images, answer(bundle)))
    training = int((~rounds.cache.validation).sum())
    epochs = max(1, round(lines[REPLAYED][-1][0] / training))
    joint = start(JOINT, rounds.cache, epochs)
    lines[JOINT] = [(epochs * training, answer(joint))]
    return lines


def tell(name: str) -> Any:
    """Return a function that prints the epochs of a fit."""
    return lambda row: click.echo(f"{name}: epoch {row['epoch'] + 1}, {row['score']:.3f}", err=True)


def compare(rounds: Rounds, lines: Mapping[str, Sequence[tuple[int, Outputs]]]) -> dict[str, Any]:
    """Return each network's measures, and how far the last ones are from the joint fit.

    Measures are over all held-out images and over those of the first round. Differences have a 95%
    confidence interval from a paired bootstrap.
    """
    first = rounds.judged_number == 0
    labels = rounds.judged.labels
    found: dict[str, Any] = {"rounds": list(rounds.names), "judged": len(first), "lines": {}}
    for line, steps in lines.items():
        found["lines"][line] = [
            {
                "images": images,
                "all": _measure(labels, outputs, np.ones(len(first), bool)),
                "first": _measure(labels, outputs, first),
            }
            for images, outputs in steps
        ]
    found["against_joint"] = {
        line: _differences(labels, lines[line][-1][1], lines[JOINT][-1][1])
        for line in (REPLAYED, FORGETTING)
    }
    return found


def _measure(labels: Outputs, outputs: Outputs, members: npt.NDArray[np.bool_]) -> dict[str, float]:
    weights = np.ones((1, int(members.sum())))
    return {
        head: float(_values(head, labels[head][members], outputs[head][members], weights)[0])
        for head in GATED
    }


def _differences(labels: Outputs, outputs: Outputs, joint: Outputs) -> dict[str, Any]:
    differences = {}
    for head in GATED:
        weights = draw_beside_all(len(labels[head]), head)
        mine, other = (
            _values(head, labels[head], answers[head], weights) for answers in (outputs, joint)
        )
        gap = mine - other
        differences[head] = {"value": float(gap[0]), "interval": central_interval(gap[1:])}
    return differences


def _values(head: str, truth: Any, output: Any, weights: Weights) -> Weights:
    """Return the measure (b,) that the promotion gate compares, for each weighting (b, n)."""
    return measure_head(head, truth, output, weights)[GATED[head].measure.field]


def to_table(found: Mapping[str, Any]) -> str:
    """Return the figures as a Markdown table."""
    lines = [
        f"{found['judged']} held-out images; {found['machine']}",
        "",
        "| fitted | images in total | age RMSE | gender accuracy | race accuracy |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for line, steps in found["lines"].items():
        for number, step in enumerate(steps, 1):
            name = line if line == JOINT else f"{line}, round {number}"
            age, gender, race = (step["all"][head] for head in GATED)
            lines.append(f"| {name} | {step['images']:,} | {age:.2f} | {gender:.3f} | {race:.3f} |")
    for line, differences in found["against_joint"].items():
        words = []
        for head, gap in differences.items():
            low, high = gap["interval"]
            words.append(f"{head} {gap['value']:+.3f} [{low:+.3f}, {high:+.3f}]")
        lines += ["", f"{line} against joint: {', '.join(words)}"]
    return "\n".join(lines)


def draw_forgetting(found: Mapping[str, Any]) -> Figure:
    """Draw every line after each round; the fit on all shards together is a dashed line."""
    rows = [("all", "all held-out images"), ("first", f"held out of {found['rounds'][0]}")]
    figure = new_figure(4.2 * len(GATED), 3.4 * len(rows))
    grid = figure.subplots(len(rows), len(GATED), squeeze=False)
    for row, (images, title) in enumerate(rows):
        for column, (head, measure) in enumerate(GATED.items()):
            axes = grid[row][column]
            for colour, (line, steps) in zip(COLOURS, found["lines"].items(), strict=False):
                values = [step[images][head] for step in steps]
                if len(values) == 1:
                    axes.axhline(values[0], color=INK, linestyle="--", linewidth=1.2, label=line)
                else:
                    places = range(1, len(values) + 1)
                    axes.plot(places, values, color=colour, marker="o", linewidth=1.6, label=line)
            axes.set_xticks(range(1, len(found["rounds"]) + 1), found["rounds"], fontsize=8)
            axes.set_title(f"{measure.title}{measure.unit and ','}{measure.unit}: {title}")
            axes.title.set_fontsize(9)
            strip(axes)
    grid[0][0].legend(frameon=False, fontsize=9)
    return figure


if __name__ == "__main__":
    main()
