"""Write a shard with labels made wrong on purpose, which `facetag retrain` is to refuse.

    python -m benchmarks.spoiled SHARD OUT --shuffle        # every image has another one's labels
    python -m benchmarks.spoiled SHARD OUT --flip white     # this apparent race's genders, swapped
    python -m benchmarks.spoiled SHARD OUT                  # as labelled, for comparison

Images are those of SHARD, byte for byte, under names that state the new labels.
"""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from benchmarks.shards import write_shard
from facetag.errors import FacetagError
from facetag.heads import GENDER, HEADS, RACE
from facetag_trainer.data.shards import Sample, read_shard

Labels = Mapping[str, float]


def shuffle_labels(labels: Sequence[Labels], seed: int) -> list[Labels]:
    """Return the same labels in another order: each sample's age, gender and race of another."""
    return random.Random(seed).sample(labels, len(labels))


def flip_genders(labels: Sequence[Labels], race: str) -> list[Labels]:
    """Return the labels with the genders of one apparent race swapped."""
    code, last = RACE.code_of(race), len(GENDER.labels) - 1
    return [
        {**each, GENDER.name: last - each[GENDER.name]} if each[RACE.name] == code else each
        for each in labels
    ]


def name_by_labels(samples: Sequence[Sample], labels: Sequence[Labels]) -> list[Sample]:
    """Return the samples with these labels, under names of the form AGE_GENDER_RACE_* for them."""
    named = []
    for number, (sample, each) in enumerate(zip(samples, labels, strict=True)):
        codes = "_".join(f"{each[head.name]:.0f}" for head in HEADS)
        name = f"{codes}_{number:06}{Path(sample.name).suffix}"
        named.append(Sample(name, sample.data, each))
    return named


@click.command(help=__doc__)
@click.argument("shard", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--shuffle", is_flag=True, help="Give every image another one's labels.")
@click.option("--flip", type=click.Choice(RACE.labels), help="Swap this apparent race's genders.")
@click.option("--most", type=click.IntRange(1), help="Take this many images at most.")
@click.option("--seed", type=int, default=1, show_default=True)
def main(
    shard: Path, out: Path, shuffle: bool, flip: str | None, most: int | None, seed: int
) -> None:
    """Read, spoil, write; say how many images have other labels now."""
    if shuffle and flip is not None:
        raise click.UsageError("Say one of --shuffle and --flip.")
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
