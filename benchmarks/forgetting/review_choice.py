"""Retrain on reviewed faces: is it better to review those of most doubt, or any?

Of the photos of the trial's domain, some are reviewed, which gives their right labels: any of them,
those of whose labels the champion is least sure, as the page shows them first, or those of each
group of which it is least sure. A retraining on each choice is measured on the photos that judge.
The gain is stated per 100 reviewed faces.

    python -m benchmarks.forgetting.review_choice path/to/part-*.tar --precision mixed_bfloat16
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from benchmarks.forgetting.domain_kinds import TRIAL
from benchmarks.forgetting.new_domain import (
    Domain,
    keep_earlier,
    make_domain,
    read_collection,
)
from benchmarks.harness.machine import describe_machine, in_words
from facetag.heads import AGE, GENDER, RACE
from facetag.settings import load_settings
from facetag.vision.bundle import Bundle, open_bundle
from facetag.vision.network.calibration import top_probability
from facetag.vision.network.mirror_averaging import Outputs
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.data.labels import group_codes
from facetag_trainer.evaluation.bootstrap import central_interval, draw_beside_all
from facetag_trainer.evaluation.calibration_error import chosen_labels
from facetag_trainer.evaluation.weighted_metrics import measure_main
from facetag_trainer.retraining.candidate import REPLAY, RetrainingPlan, retrain_network
from facetag_trainer.retraining.gate.paired_comparison import GATED
from facetag_trainer.retraining.material.replay import keep_some
from facetag_trainer.retraining.outputs.output_cache import OutputCache

ANY, DOUBT, GROUPS = "any", "most doubt", "most doubt in each group"
CHOICES = (ANY, DOUBT, GROUPS)
Places = npt.NDArray[np.intp]


@click.command(help=__doc__)
@click.argument("shards", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--bundle", type=click.Path(path_type=Path, exists=True), help="The champion.")
@click.option("--pool", type=click.IntRange(1), default=1000, show_default=True,
              help="Photos that may be reviewed.")  # fmt: skip
@click.option("--reviews", type=click.IntRange(1), default=300, show_default=True,
              help="Faces that are reviewed.")  # fmt: skip
@click.option("--replay", type=click.FloatRange(0, 1), default=REPLAY, show_default=True,
              help="As of `facetag retrain`.")  # fmt: skip
@click.option("--no-mirror", is_flag=True, help="Read no mirror images, which is twice as fast.")
@click.option("--precision", default="float32", show_default=True, help="As of `facetag retrain`.")
@click.option("--run", type=click.Path(path_type=Path), default=Path("runs/review-choice"),
              show_default=True, help="Folder; a killed run continues there.")  # fmt: skip
@click.option("--cache", type=click.Path(path_type=Path), default=Path("runs/cache"),
              show_default=True, help="Folder of crop caches.")  # fmt: skip
def main(
    shards: Sequence[Path],
    bundle: Path | None,
    pool: int,
    reviews: int,
    replay: float,
    no_mirror: bool,
    precision: str,
    run: Path,
    cache: Path,
) -> None:
    """Make the domain, retrain on each choice, and print the gains."""
    machine, champion = describe_machine(), open_bundle(bundle)
    if no_mirror:
        champion = Bundle(champion.folder, {**champion.manifest, "mirror": False})
    collection = read_collection(shards, champion, load_settings(), cache)
    domain = make_domain(collection, TRIAL, count=pool)
    earlier, plan = keep_earlier(collection, [domain]), RetrainingPlan(replay, precision)
    found = compare_choices(
        champion,
        earlier,
        domain,
        reviews,
        plan,
        run,
        on_say=lambda words: click.echo(words, err=True),
    )
    found["machine"] = in_words(machine)
    (run / "review-choice.json").write_text(json.dumps(found, indent=2) + "\n")
    click.echo(to_text(found))


def compare_choices(
    champion: Bundle,
    earlier: CropCache,
    domain: Domain,
    reviews: int,
    plan: RetrainingPlan,
    run: Path,
    *,
    on_say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Return per choice and head the gain over the champion, and the gain over a choice of any.

    Both have 95% confidence intervals.
    """

    def retrain(reviewed: CropCache, name: str) -> Bundle:
        return retrain_network(
            champion,
            reviewed,
            [earlier],
            plan,
            run / name,
            on_epoch=lambda row: on_say(f"{name}: epoch {row['epoch'] + 1}"),
            on_estimate=lambda seconds: on_say(f"{name}: {seconds / 60:.0f} minutes"),
        )

    output_cache = OutputCache(run)
    seen = champion.calibration.apply(output_cache.read(champion, domain.new))
    outputs = {"champion": output_cache.read(champion, domain.rest)}
    for choice in CHOICES:
        chosen = choose_reviews(choice, seen, reviews)
        members = np.isin(np.arange(len(domain.new.validation)), chosen)
        candidate = retrain(keep_some(domain.new, members), choice.replace(" ", "-"))
        outputs[choice] = output_cache.read(candidate, domain.rest)
    judges = len(domain.rest.validation)
    return {"reviews": reviews, "judges": judges, **measure_gains(domain.rest.labels, outputs)}


def choose_reviews(choice: str, seen: Outputs, reviews: int) -> Places:
    """Return the places of the faces to review, from calibrated outputs (n, units) per head.

    Doubt is that of the page's queue: the smaller of the probabilities of gender and race.
    """
    count = len(seen[AGE.name])
    if choice == ANY:
        return np.random.default_rng(1).permutation(count)[:reviews]
    sure = np.minimum(*(top_probability(head, seen[head]) for head in (GENDER.name, RACE.name)))
    if choice == DOUBT:
        return np.argsort(sure, kind="stable")[:reviews]
    groups = np.stack(
        [
            chosen_labels(GENDER.name, seen[GENDER.name]),
            chosen_labels(RACE.name, seen[RACE.name]),
            group_codes(AGE.name, seen[AGE.name][:, 0]),
        ]
    )
    _, group = np.unique(groups, axis=1, return_inverse=True)
    # One of each group in turn: by its rank of doubt in the group, then by doubt.
    order = np.argsort(sure, kind="stable")
    rank = np.zeros(count, int)
    for each in range(group.max() + 1):
        mine = order[group[order] == each]
        rank[mine] = np.arange(len(mine))
    return np.lexsort((sure, rank))[:reviews]


def measure_gains(labels: Outputs, outputs: Mapping[str, Outputs]) -> dict[str, Any]:
    """Return per head the champion's measure, and of each choice the measure and its gains."""
    found: dict[str, Any] = {"heads": {}}
    for head, gated in GATED.items():
        weights = draw_beside_all(len(labels[head]), head)
        values = {
            name: measure_main(head, labels[head], one[head], weights)
            for name, one in outputs.items()
        }
        rows = {}
        for choice in CHOICES:
            gain, beyond = (
                -gated.lost(values[other], values[choice]) for other in ("champion", ANY)
            )
            rows[choice] = {
                "value": float(values[choice][0]),
                "gain": float(gain[0]),
                "interval": central_interval(gain[1:]),
                "beyond_any": float(beyond[0]),
                "beyond_interval": central_interval(beyond[1:]),
            }
        found["heads"][head] = {
            "measure": gated.measure.full_name,
            "champion": float(values["champion"][0]),
            "choices": rows,
        }
    return found


def to_text(found: Mapping[str, Any]) -> str:
    """Return the gains per 100 reviewed faces as a Markdown table."""
    hundreds, counted = found["reviews"] / 100, f"{found['reviews']} reviewed faces"
    titles = [
        "measure",
        "reviewed",
        "champion",
        "candidate",
        "gain per 100 (95% interval)",
        "more than any per 100 (95% interval)",
    ]
    lines = [
        f"{counted}, {found['judges']} photos that judge; {found['machine']}",
        "",
        f"| {' | '.join(titles)} |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in found["heads"].values():
        for choice, one in row["choices"].items():
            gain, beyond = (
                f"{one[value] / hundreds:+.3f} ({low / hundreds:+.3f} to {high / hundreds:+.3f})"
                for value, (low, high) in (
                    ("gain", one["interval"]),
                    ("beyond_any", one["beyond_interval"]),
                )
            )
            lines.append(
                f"| {row['measure']} | {choice} | {row['champion']:.3f} | {one['value']:.3f} | "
                f"{gain} | {'' if choice == ANY else beyond} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
