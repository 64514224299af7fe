"""Choose the look of the trial's photos by the champion's figures alone.

The champion reads adults that it held out, as they are and in every look. They have other apparent
races than the trial's, so no photo that judges the trial is looked at. The rule: the champion is
surely worse in age, gender and race (the 95% intervals of the losses are above zero), and the
check of labels passes the right labels of the trial's new photos. Of such looks, the one is chosen
whose least loss is largest: the lower end of its interval, in margins of the promotion gate.

    python -m benchmarks.forgetting.look_choice path/to/part-*.tar
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from benchmarks.forgetting.domain_kinds import LOOKS, POOR, Kind, spoil
from benchmarks.forgetting.new_domain import (
    WRONG,
    choose_images,
    cut_images,
    examine_collection,
    mislabel,
    write_images,
)
from benchmarks.harness.machine import describe_machine, in_words
from facetag.heads import RACE
from facetag.settings import load_settings
from facetag.vision.bundle import Bundle, open_bundle
from facetag.vision.network.mirror_averaging import Outputs
from facetag_trainer.data.cache_preparation import PreparePlan
from facetag_trainer.data.shards import Sample
from facetag_trainer.evaluation.bootstrap import central_interval, draw_beside_all
from facetag_trainer.evaluation.weighted_metrics import measure_main
from facetag_trainer.retraining.candidate import JUDGED_BY
from facetag_trainer.retraining.gate.label_check import Read, check_labels
from facetag_trainer.retraining.gate.loss_bounds import SERVED_EARLIER
from facetag_trainer.retraining.gate.paired_comparison import GATED
from facetag_trainer.retraining.outputs.output_cache import OutputCache
from facetag_trainer.retraining.training_round import examine_tests

RIGHT = WRONG[0]


@click.command(help=__doc__)
@click.argument("shards", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--bundle", type=click.Path(path_type=Path, exists=True), help="The champion.")
@click.option("--count", type=click.IntRange(1), default=1000, show_default=True,
              help="Images of the trial's new shard.")  # fmt: skip
@click.option("--look", "names", type=click.Choice([one.name for one in LOOKS]), multiple=True,
              help="Read this look alone; may be given several times.")  # fmt: skip
@click.option("--no-mirror", is_flag=True, help="Read no mirror images, which is twice as fast.")
@click.option("--cache", type=click.Path(path_type=Path), default=Path("runs/cache"),
              show_default=True, help="Folder of crop caches and outputs.")  # fmt: skip
def main(
    shards: Sequence[Path],
    bundle: Path | None,
    count: int,
    names: Sequence[str],
    no_mirror: bool,
    cache: Path,
) -> None:
    """Read all looks with the champion, and print its losses and the chosen look."""
    machine, champion = describe_machine(), open_bundle(bundle)
    if no_mirror:
        champion = Bundle(champion.folder, {**champion.manifest, "mirror": False})
    settings = load_settings()
    plan, whole, held_out = examine_collection(shards, champion, settings)
    found = compare_looks(
        Reader(champion, plan, cache),
        [whole.samples[index] for index in np.flatnonzero(held_out & _judging(whole.round.parts))],
        [whole.samples[one] for one in choose_images(whole.samples, held_out, count, POOR)[0]],
        [look for look in LOOKS if not names or look.name in names],
    )
    found["machine"] = in_words(machine)
    click.echo(json.dumps(found), err=True)
    click.echo(to_text(found))


def _judging(parts: Mapping[str, str]) -> npt.NDArray[np.bool_]:
    return np.isin(list(parts.values()), JUDGED_BY)


class Reader:
    """Reads samples with the champion, as the service does."""

    def __init__(self, champion: Bundle, plan: PreparePlan, root: Path) -> None:
        self._champion, self._plan, self._root = champion, plan, root

    def read(self, name: str, samples: Sequence[Sample], kind: Kind | None = None) -> list[Outputs]:
        """Return the labels (n,) and outputs (n, units) of the samples, in the look of a kind."""
        settings = self._plan.settings
        shown = [spoil(one, settings, kind) for one in samples] if kind else list(samples)
        path = self._root / "looks" / f"{name}.tar"
        examined = examine_tests([write_images(path, shown, settings)])
        crops = cut_images(examined, self._root, self._plan)
        outputs = OutputCache(self._root / "looks").read(self._champion, crops)
        found = {digest: place for place, digest in enumerate(examined.round.parts)}
        order = [found[one.sha256] for one in shown]
        return [
            {head: values[order] for head, values in columns.items()}
            for columns in ({head: crops.labels[head] for head in GATED}, outputs)
        ]


def compare_looks(
    reader: Reader, held_out: Sequence[Sample], new: Sequence[Sample], looks: Sequence[Kind]
) -> dict[str, Any]:
    """Return the losses under each look, the labels that its check passes, and the chosen look.

    `held_out` judge, and those of other races than the looks' are spoiled; `new` are labelled.
    """
    elsewhere = replace(looks[0], races=tuple(set(RACE.labels) - set(looks[0].races)))
    others = [place for place, one in enumerate(held_out) if elsewhere.has(one)]
    earlier = Read(*reader.read("clean", held_out))
    clean, rows = earlier.take(np.array(others)), []
    for look in looks:
        poor = reader.read(look.name, [held_out[one] for one in others], look)[1]
        outputs = reader.read(f"{look.name} new", new, look)[1]
        rows.append(
            {
                "look": look.name,
                **{head: _state_loss(head, clean, poor) for head in GATED},
                "passes": [
                    way for way in WRONG if _passes(earlier, Read(_relabel(new, way), outputs))
                ],
            }
        )
    return {"n": len(others), "new": len(new), "looks": rows, "chosen": choose_look(rows)}


def choose_look(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the name of the look that the rule chooses; None if none is fit."""

    def least(row: Mapping[str, Any]) -> float:
        return min(
            row[head]["interval"][0] / SERVED_EARLIER.margin(head, group=False) for head in GATED
        )

    fit = [row for row in rows if RIGHT in row["passes"] and least(row) > 0]
    return str(max(fit, key=least)["look"]) if fit else None


def _state_loss(head: str, clean: Read, poor: Outputs) -> dict[str, Any]:
    truth = clean.labels[head]
    weights = draw_beside_all(len(truth), head)
    before, after = (measure_main(head, truth, one[head], weights) for one in (clean.outputs, poor))
    lost = GATED[head].lost(before, after)
    return {
        "clean": float(before[0]),
        "spoiled": float(after[0]),
        "lost": float(lost[0]),
        "interval": central_interval(lost[1:]),
    }


def _relabel(samples: Sequence[Sample], way: str) -> Outputs:
    relabelled = mislabel(samples, way)
    return {head: np.array([one.labels[head] for one in relabelled], np.float32) for head in GATED}


def _passes(earlier: Read, new: Read) -> bool:
    return all(remark.holds for remark in check_labels(earlier, new))


def to_text(found: Mapping[str, Any]) -> str:
    """Return the losses as a Markdown table, and the chosen look."""
    titles = [f"{gated.measure.full_name} lost" for gated in GATED.values()]
    lines = [
        f"{found['n']} held-out photos, {found['new']} new ones; {found['machine']}",
        "",
        f"| look | {' | '.join(titles)} | labels that pass |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for row in found["looks"]:
        cells = []
        for head in GATED:
            one = row[head]
            low, high = one["interval"]
            cells.append(f"{one['clean']:.3f} to {one['spoiled']:.3f} ({low:+.3f} to {high:+.3f})")
        lines.append(f"| {row['look']} | {' | '.join(cells)} | {', '.join(row['passes'])} |")
    return "\n".join([*lines, "", f"Chosen: {found['chosen']}"])


if __name__ == "__main__":
    main()
