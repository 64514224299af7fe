"""Write a shard with deliberately wrong labels, which `facetag retrain` should refuse.

    python -m benchmarks.harness.corrupted_shard SHARD OUT --shuffle
    python -m benchmarks.harness.corrupted_shard SHARD OUT --flip white

With --shuffle, each image gets the labels of another. With --flip, the genders of one apparent race
are swapped. With neither, labels stay as they are, for comparison.
Images are the unchanged ones of SHARD, under names that state the new labels.
"""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from benchmarks.harness.shard_writer import write_shard
from facetag.errors import FacetagError
from facetag.heads import GENDER, HEADS, RACE
from facetag_trainer.data.shards import Sample, read_shard

Labels = Mapping[str, float]


def shuffle_labels(labels: Sequence[Labels], seed: int) -> list[Labels]:
    """Return the same labels in random order, so that each sample gets those of another."""
    return random.Random(seed).sample(labels, len(labels))


def flip_genders(labels: Sequence[Labels], race: str) -> list[Labels]:
    """Return the labels with the genders of one apparent race swapped."""
    code, last = RACE.code_of(race), len(GENDER.labels) - 1
    return [
        {**each, GENDER.name: last - each[GENDER.name]} if each[RACE.name] == code else each
        for each in labels
    ]


def name_by_labels(samples: Sequence[Sample], labels: Sequence[Labels]) -> list[Sample]:
    """Return the samples with these labels and names that state them (AGE_GENDER_RACE_*)."""
    named = []
    for number, (sample, each) in enumerate(zip(samples, labels, strict=True)):
        codes = "_".join(f"{each[head.name]:.0f}" for head in HEADS)
        name = f"{codes}_{number:06}{Path(sample.name).suffix}"
        named.append(Sample(name, sample.data, each))
    return named


@click.command(help=__doc__)
@click.argument("shard", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--shuffle", is_flag=True, help="Give each image the labels of another.")
@click.option("--flip", type=click.Choice(RACE.labels), help="Swap genders of this apparent race.")
@click.option("--most", type=click.IntRange(1), help="Use at most this many images.")
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of --shuffle.")
def main(
    shard: Path, out: Path, shuffle: bool, flip: str | None, most: int | None, seed: int
) -> None:
    """Read the shard, change labels, write it, and print how many images have other labels."""
    if shuffle and flip is not None:
        raise click.UsageError("--shuffle cannot be combined with --flip: give one of them.")
    try:
        samples = [item for item in read_shard(shard) if isinstance(item, Sample)]
    except FacetagError as error:
        raise click.ClickException(str(error)) from error
    whole = [item for item in samples if len(item.labels) == len(HEADS)][:most]
    before = after = [item.labels for item in whole]
    if shuffle:
        after = shuffle_labels(before, seed)
    elif flip is not None:
        after = flip_genders(before, flip)
    write_shard(out, name_by_labels(whole, after))
    changed = sum(old != new for old, new in zip(before, after, strict=True))
    click.echo(f"{out}: {changed} of {len(whole)} images have other labels than in {shard}.")


if __name__ == "__main__":
    main()
