"""Retrain on three domains in turn, in two orders, and once on all at once: do they end alike?

The domains are faces of different groups in photos that are poor in different ways. After three
rounds, no domain may be washed out: the last networks are measured on earlier photos and on those
of all domains, and held against one retraining of the champion on all three at once.

    python -m benchmarks.forgetting.orders path/to/part-*.tar --precision mixed_bfloat16
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.forgetting.domain_kinds import ROUNDS
from benchmarks.forgetting.judging_images import (
    add_tests,
    compare_losses,
    gather_judges,
    list_losses,
    read_tests,
)
from benchmarks.forgetting.new_domain import (
    Domain,
    keep_earlier,
    make_domain,
    read_collection,
)
from benchmarks.harness.machine import describe_machine, in_words
from facetag.settings import load_settings
from facetag.vision.bundle import Bundle, open_bundle
from facetag.vision.network.mirror_averaging import Outputs
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.evaluation.weighted_metrics import measure_main
from facetag_trainer.retraining.candidate import (
    EPOCHS,
    REPLAY,
    RetrainingPlan,
    retrain_network,
)
from facetag_trainer.retraining.gate.loss_bounds import EARLIER, NEW
from facetag_trainer.retraining.gate.paired_comparison import GATED
from facetag_trainer.retraining.material.replay import join_caches
from facetag_trainer.retraining.outputs.output_cache import OutputCache, join_outputs

ORDERS = ((0, 1, 2), (2, 0, 1))
CHAMPION, JOINT = "champion", "all at once"
WITHIN = {"age": 0.1, "gender": 0.003, "race": 0.003}
"""Largest loss against the retraining on all at once, in years or as a share."""


@click.command(help=__doc__)
@click.argument("shards", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--bundle", type=click.Path(path_type=Path, exists=True), help="The champion.")
@click.option("--test", "tests", multiple=True, type=click.Path(path_type=Path, exists=True),
              help="Shard whose images judge too; more of them may be named.")  # fmt: skip
@click.option("--count", type=click.IntRange(1), default=500, show_default=True,
              help="Images of each new shard.")  # fmt: skip
@click.option("--most", type=click.IntRange(1), default=300, show_default=True,
              help="Other images of each domain that judge, at most.")  # fmt: skip
@click.option("--replay", type=click.FloatRange(0, 1), default=REPLAY, show_default=True,
              help="As of `facetag retrain`.")  # fmt: skip
@click.option("--no-mirror", is_flag=True, help="Read no mirror images, which is twice as fast.")
@click.option("--epochs", type=click.IntRange(1), default=EPOCHS, show_default=True, help="Epochs.")
@click.option("--precision", default="float32", show_default=True, help="As of `facetag retrain`.")
@click.option("--run", type=click.Path(path_type=Path), default=Path("runs/orders"),
              show_default=True, help="Folder; a killed run continues there.")  # fmt: skip
@click.option("--cache", type=click.Path(path_type=Path), default=Path("runs/cache"),
              show_default=True, help="Folder of crop caches.")  # fmt: skip
def main(
    shards: Sequence[Path],
    bundle: Path | None,
    tests: Sequence[Path],
    count: int,
    most: int,
    replay: float,
    no_mirror: bool,
    epochs: int,
    precision: str,
    run: Path,
    cache: Path,
) -> None:
    """Make the domains, retrain in all orders and at once, and print how they end."""
    machine, champion = describe_machine(), open_bundle(bundle)
    if no_mirror:
        champion = Bundle(champion.folder, {**champion.manifest, "mirror": False})
    collection = read_collection(shards, champion, load_settings(), cache)
    domains = [make_domain(collection, kind, count=count, most=most) for kind in ROUNDS]
    plan = RetrainingPlan(replay, precision, options={"epochs": epochs, "seed": 1})
    earlier = keep_earlier(collection, domains)
    further = read_tests(tests, collection)
    found = compare_orders(
        champion,
        earlier,
        [add_tests(one, kind, further) for one, kind in zip(domains, ROUNDS, strict=True)],
        gather_judges(earlier, further),
        plan,
        run,
        on_say=lambda words: click.echo(words, err=True),
    )
    found["machine"] = in_words(machine)
    (run / "orders.json").write_text(json.dumps(found, indent=2) + "\n")
    click.echo(to_text(found))


def compare_orders(
    champion: Bundle,
    earlier: CropCache,
    domains: Sequence[Domain],
    judges: CropCache,
    plan: RetrainingPlan,
    run: Path,
    *,
    orders: Sequence[Sequence[int]] = ORDERS,
    on_say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Return the measures of each line of retrainings after each round, and how far the last are
    from the retraining on all domains at once, with 95% confidence intervals.

    `judges` are the earlier images that are measured.
    """

    def retrain(parent: Bundle, new: CropCache, known: Sequence[CropCache], name: str) -> Bundle:
        return retrain_network(
            parent,
            new,
            known,
            plan,
            run / name,
            on_epoch=lambda row: on_say(f"{name}: epoch {row['epoch'] + 1}, {row['score']:.3f}"),
            on_estimate=lambda seconds: on_say(f"{name}: about {seconds / 60:.0f} minutes"),
        )

    def measure(bundle: Bundle) -> dict[str, Outputs]:
        return read_judges(bundle, judges, domains, OutputCache(run))

    joined = join_caches([(one.new, np.arange(len(one.new.validation))) for one in domains])
    joined = replace(joined, facts={**joined.facts, "domain": NEW})
    lines = {JOINT: [measure(retrain(champion, joined, [earlier], "at-once"))]}
    for order in orders:
        bundle, known, steps = champion, [earlier], []
        for place in order:
            new = domains[place].new
            name = "-".join(str(one) for one in order[: len(known)])
            bundle = retrain(bundle, new, known, f"order-{name}")
            known = [*known, new]
            steps.append(measure(bundle))
        lines[", ".join(domains[place].name for place in order)] = steps
    lines = {CHAMPION: [measure(champion)], **lines}
    return {"domains": [one.name for one in domains], **state(judges, domains, lines)}


def read_judges(
    bundle: Bundle, judges: CropCache, domains: Sequence[Domain], output_cache: OutputCache
) -> dict[str, Outputs]:
    """Return a bundle's outputs for images that judge: earlier ones, each domain's, and all new."""
    found = {EARLIER: output_cache.read(bundle, judges)}
    found |= {one.name: output_cache.read(bundle, one.rest) for one in domains}
    return {**found, NEW: join_outputs([found[one.name] for one in domains])}


def state(
    judges: CropCache,
    domains: Sequence[Domain],
    lines: Mapping[str, Sequence[Mapping[str, Outputs]]],
) -> dict[str, Any]:
    """Return the figures of all lines by kind of photos, and the last ones against JOINT."""
    labels: dict[str, Outputs] = {EARLIER: dict(judges.labels)}
    labels |= {one.name: dict(one.rest.labels) for one in domains}
    labels[NEW] = join_outputs([labels[one.name] for one in domains])
    figures: dict[str, Any] = {
        line: [
            {data: _measure(truth, step[data]) for data, truth in labels.items()} for step in steps
        ]
        for line, steps in lines.items()
    }
    against: dict[str, Any] = {
        line: {
            data: compare_losses(labels[data], steps[-1][data], lines[JOINT][-1][data], WITHIN)
            for data in (EARLIER, NEW)
        }
        for line, steps in lines.items()
        if line not in (CHAMPION, JOINT)
    }
    counts = {data: len(next(iter(truth.values()))) for data, truth in labels.items()}
    return {"judges": counts, "lines": figures, "against": against}


def _measure(labels: Outputs, outputs: Outputs) -> dict[str, float]:
    found = {}
    for head in GATED:
        known = ~np.isnan(labels[head])
        ones = np.ones((1, int(known.sum())))
        found[head] = float(measure_main(head, labels[head][known], outputs[head][known], ones)[0])
    return found


def to_text(found: Mapping[str, Any]) -> str:
    """Return the figures as a Markdown table, and whether the bounds hold."""
    counts = ", ".join(f"{count} {data}" for data, count in found["judges"].items())
    lines = [
        f"Photos that judge: {counts}; {found['machine']}",
        "",
        "| retrained | photos | age RMSE | gender accuracy | race accuracy |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for line, steps in found["lines"].items():
        for number, step in enumerate(steps, 1):
            name = line if len(steps) == 1 else f"{line}: round {number}"
            for data, figures in step.items():
                age, gender, race = (figures[head] for head in GATED)
                lines.append(f"| {name} | {data} | {age:.2f} | {gender:.3f} | {race:.3f} |")
    for line, kinds in found["against"].items():
        for data, heads in kinds.items():
            lines += ["", f"{line} against all at once, on {data} photos:", *list_losses(heads)]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
