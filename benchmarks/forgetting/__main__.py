"""Retrain the champion on photos that it reads badly: what is won there, what is lost elsewhere?

The photos are Asian and Indian faces over 20 in the look that `look_choice` chose: grey, small and
red. A new shard has 1,000 of them. Those judge that the champion held out, and those that the new
shard holds out and that choose no weights. Earlier data are the images that the champion held out.
Those of test shards judge too, as they are and spoiled. Nothing is recorded or promoted: the
program prints what `facetag retrain` would have decided.

    python -m benchmarks.forgetting path/to/part-*.tar --precision mixed_bfloat16
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import click
import numpy as np
import numpy.typing as npt

from benchmarks.forgetting.domain_kinds import TRIAL
from benchmarks.forgetting.judging_images import (
    add_tests,
    compare_losses,
    gather_judges,
    list_losses,
    read_tests,
)
from benchmarks.forgetting.new_domain import (
    WRONG,
    Domain,
    keep_earlier,
    make_domain,
    read_collection,
)
from benchmarks.harness.machine import describe_machine, in_words
from facetag.heads import AGE, HEADS_BY_NAME
from facetag.settings import load_settings
from facetag.vision.bundle import Bundle, open_bundle
from facetag.vision.network.calibration import Values
from facetag.vision.network.mirror_averaging import Outputs
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.evaluation.bootstrap import Weights, central_interval, draw_beside_all
from facetag_trainer.evaluation.weighted_metrics import measure_main
from facetag_trainer.retraining.candidate import (
    EPOCHS,
    REPLAY,
    TEACHER_SHARE,
    RetrainingPlan,
    judge_candidate,
    retrain_network,
)
from facetag_trainer.retraining.gate.loss_bounds import Serves
from facetag_trainer.retraining.gate.paired_comparison import GATED
from facetag_trainer.retraining.outputs.output_cache import OutputCache

DRAWS = 2
WITHIN = {"age": 0.05, "gender": 0.002, "race": 0.002}
"""Largest loss on earlier images, in years or as a share."""
LEAST_PROBABILITY = 1e-3
"""Of a label that is wrong beyond doubt: the log loss of one image must not outweigh all."""
CLEAN, BEFORE, AFTER = "champion, before they were corrupted", "champion", "candidate"


@click.command(help=__doc__)
@click.argument("shards", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--bundle", type=click.Path(path_type=Path, exists=True), help="The champion.")
@click.option("--test", "tests", multiple=True, type=click.Path(path_type=Path, exists=True),
              help="Shard whose images judge too; more of them may be named.")  # fmt: skip
@click.option("--count", type=click.IntRange(1), default=1000, show_default=True,
              help="Images of the new shard.")  # fmt: skip
@click.option("--labels", type=click.Choice(WRONG), default="right", show_default=True,
              help="Labels of the new shard.")  # fmt: skip
@click.option("--for", "serves", type=click.Choice(get_args(Serves)), default="both",
              show_default=True, help="As of `facetag retrain`.")  # fmt: skip
@click.option("--replay", type=click.FloatRange(0, 1), default=REPLAY, show_default=True,
              help="As of `facetag retrain`.")  # fmt: skip
@click.option("--draws", type=click.IntRange(1), default=DRAWS, show_default=True,
              help="Times that each photo that judges is corrupted.")  # fmt: skip
@click.option("--no-mirror", is_flag=True, help="Read no mirror images, which is twice as fast.")
@click.option("--epochs", type=click.IntRange(1), default=EPOCHS, show_default=True, help="Epochs.")
@click.option("--teacher-share", type=click.FloatRange(0, 1), default=TEACHER_SHARE,
              show_default=True,
              help="Share of the targets that is the champion's answer.")  # fmt: skip
@click.option("--precision", default="float32", show_default=True, help="As of `facetag retrain`.")
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the fit.")
@click.option("--run", type=click.Path(path_type=Path), default=Path("runs/forgetting"),
              show_default=True, help="Folder; a killed run continues there.")  # fmt: skip
@click.option("--cache", type=click.Path(path_type=Path), default=Path("runs/cache"),
              show_default=True, help="Folder of crop caches.")  # fmt: skip
def main(
    shards: Sequence[Path],
    bundle: Path | None,
    tests: Sequence[Path],
    count: int,
    labels: str,
    serves: Serves,
    replay: float,
    draws: int,
    no_mirror: bool,
    epochs: int,
    teacher_share: float,
    precision: str,
    seed: int,
    run: Path,
    cache: Path,
) -> None:
    """Make the domain, retrain, measure, and print tables and verdict."""
    machine, champion = describe_machine(), open_bundle(bundle)
    if no_mirror:
        champion = Bundle(champion.folder, {**champion.manifest, "mirror": False})
    collection = read_collection(shards, champion, load_settings(), cache)
    domain = make_domain(collection, TRIAL, count=count, labels=labels, draws=draws)
    options = {"epochs": epochs, "teacher_share": teacher_share, "seed": seed}
    plan = RetrainingPlan(replay, precision, serves, options)
    earlier, further = keep_earlier(collection, [domain]), read_tests(tests, collection)
    found = try_retraining(
        champion,
        earlier,
        add_tests(domain, TRIAL, further, draws),
        gather_judges(earlier, further),
        plan,
        run,
        on_say=lambda words: click.echo(words, err=True),
    )
    found |= {"machine": in_words(machine), "labels": labels}
    (run / "forgetting.json").write_text(json.dumps(found, indent=2) + "\n")
    click.echo(to_text(found))


def try_retraining(
    champion: Bundle,
    earlier: CropCache,
    domain: Domain,
    judges: CropCache,
    plan: RetrainingPlan,
    run: Path,
    *,
    on_say: Any = print,
) -> dict[str, Any]:
    """Retrain on the domain, and return the verdict and all figures of the images that judge.

    `judges` are the earlier ones.
    """
    candidate = retrain_network(
        champion,
        domain.new,
        [earlier],
        plan,
        run,
        on_epoch=lambda row: on_say(f"epoch {row['epoch'] + 1}: score {row['score']:.3f}"),
        on_estimate=lambda seconds: on_say(f"about {seconds / 60:.0f} minutes"),
    )
    on_say(f"points: {candidate.manifest['line']}")
    verdict = judge_candidate(champion, candidate, domain.new, [earlier], serves=plan.serves)
    if verdict is None:
        raise click.ClickException("No earlier image is held out: give more shards.")
    output_cache = OutputCache(run)
    clean = output_cache.read(champion, domain.rest_clean)
    answers = {
        CLEAN: {name: values[domain.photo] for name, values in clean.items()},
        BEFORE: output_cache.read(champion, domain.rest),
        AFTER: output_cache.read(candidate, domain.rest),
    }
    before, after = (output_cache.read(one, judges) for one in (champion, candidate))
    return {
        "line": candidate.manifest["line"],
        "images": {
            "new": len(domain.new.crops),
            "rest": len(domain.rest.crops),
            "earlier": len(judges.crops),
        },
        "earlier": compare_losses(dict(judges.labels), after, before, WITHIN),
        "rest": measure(domain, answers, np.ones(len(domain.unseen), bool)),
        "unseen": measure(domain, answers, domain.unseen),
        "coverage": {
            name: cover(one, domain.rest.labels, answers[which])
            for name, one, which in (("before", champion, BEFORE), ("after", candidate, AFTER))
        },
        "verdict": verdict.to_json(),
    }


def measure(
    domain: Domain, answers: Mapping[str, Outputs], members: npt.NDArray[np.bool_]
) -> dict[str, Any]:
    """Return per head each network's measure, the gain, and its share of what was lost.

    Gain and share have 95% confidence intervals from a bootstrap over photos, each with all the
    ways in which it was spoiled. Of labels, log losses are given too: few photos change sides.
    """
    photos, photo = np.unique(domain.photo[members], return_inverse=True)
    found: dict[str, Any] = {"n": len(photos), "images": int(members.sum())}
    for head, gated in GATED.items():
        truth = domain.rest.labels[head][members]
        weights = draw_beside_all(len(photos), head)[:, photo]
        outputs = {name: values[head][members] for name, values in answers.items()}
        values = {name: measure_main(head, truth, one, weights) for name, one in outputs.items()}
        found[head] = {"measure": gated.measure.full_name, **_state(values, gated.lost)}
        if HEADS_BY_NAME[head].kind != "regression":
            losses = {name: _log_loss(truth, one, weights) for name, one in outputs.items()}
            lost = {"measure": f"{head} log loss", **_state(losses, lambda old, new: new - old)}
            found[f"{head} log loss"] = lost
    return found


def _state(values: Mapping[str, Weights], lost: Callable[[Weights, Weights], Weights]) -> Any:
    """Return the values, what was lost and gained, and the share won back, with intervals."""
    gain, gone = -lost(values[BEFORE], values[AFTER]), lost(values[CLEAN], values[BEFORE])
    share = gain / np.where(gone > 0, gone, np.nan)
    return {
        **{name: float(value[0]) for name, value in values.items()},
        "gain": float(gain[0]),
        "interval": central_interval(gain[1:]),
        "lost": float(gone[0]),
        "won_back": float(share[0]),
        "won_back_interval": central_interval(share[1:]),
    }


def _log_loss(truth: Values, output: Values, weights: Weights) -> Weights:
    """Return the mean log loss (b,) of probabilities (n, units) for each weighting (b, n)."""
    right = (
        output[np.arange(len(truth)), truth.astype(int)]
        if output.shape[1] > 1
        else (np.where(truth == 1, output[:, 0], 1 - output[:, 0]))
    )
    loss = -np.log(np.maximum(right, LEAST_PROBABILITY))
    mean: Weights = weights @ loss / weights.sum(axis=1)
    return mean


def cover(bundle: Bundle, labels: Mapping[str, Any], outputs: Any) -> float:
    """Return the share of ages within the bundle's stated range."""
    ages = bundle.calibration.apply(outputs)[AGE.name][:, 0]
    return float(bundle.age_range.covers(ages, labels[AGE.name]).mean())


def to_text(found: Mapping[str, Any]) -> str:
    """Return the figures as Markdown tables, and the verdict."""
    lines = [
        f"{found['images']['new']} new images, {found['labels']} labels; {found['machine']}",
        f"Share of the fitted weights: {found['line']['share']:g}",
    ]
    for name, title in (("rest", "New photos that judge"), ("unseen", "Of these, unseen ones")):
        part = found[name]
        lines += [
            "",
            f"{title}: {part['n']}, in {part['images']} images",
            "",
            f"| measure | {CLEAN} | {BEFORE} | {AFTER} | gain | won back |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
        ]
        for row in part.values():
            if isinstance(row, dict):
                lines.append(_to_row(row))
    coverage, verdict = found["coverage"], found["verdict"]
    lines += [
        "",
        f"The candidate on {found['images']['earlier']} earlier images that judge:",
        *list_losses(found["earlier"]),
        "",
        f"In the stated age range: {coverage['before']:.3f} before, {coverage['after']:.3f} after",
        "",
        f"For {verdict['for']}: {'promoted' if verdict['holds'] else 'refused'}",
        *(f"- {reason}" for reason in verdict["reasons"]),
    ]
    return "\n".join(lines)


def _to_row(row: Mapping[str, Any]) -> str:
    low, high = row["interval"] or (np.nan, np.nan)
    back = "nothing was lost"
    if row["lost"] > 0:
        least, most = row["won_back_interval"] or (np.nan, np.nan)
        back = f"{row['won_back']:.0%} ({least:.0%} to {most:.0%})"
    return (
        f"| {row['measure']} | {row[CLEAN]:.3f} | {row[BEFORE]:.3f} | {row[AFTER]:.3f} | "
        f"{row['gain']:+.3f} ({low:+.3f} to {high:+.3f}) | {back} |"
    )


if __name__ == "__main__":
    main()
