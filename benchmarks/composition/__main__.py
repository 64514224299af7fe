"""Measure how near estimated shares are to the truth, beside counted ones.

Collections of faces are drawn with shares far from the data's: each group holds 1% to 60%. No face
occurs twice in a collection, so collections of rare groups are smaller than asked for. A quarter as
many have the data's own shares, where the errors of counts nearly cancel out. Without SHARD, the
faces are the held-out images whose answers the bundle's manifest keeps: at most half of a group's
faces are drawn, and all that are not drawn fit the calibration. With SHARDs, labelled images go
through detector and crop, and the manifest's held-out images fit the calibration; all collections
then share these and come from one set, so that standard errors over collections are too small.
`--blur` makes those images another domain, where the method must fail. With `--quapy`, QuaPy's
estimates are stated too (`pip install quapy`).

    python -m benchmarks.composition
    python -m benchmarks.composition path/to/test.tar [--blur 3]
"""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click

from benchmarks.composition.shard_answers import answer_shards
from benchmarks.composition.share_errors import Experiment, GroupingErrors, ShareErrors
from benchmarks.harness.machine import describe_machine, in_words
from facetag.bundles.bundle_folder import DEFAULT_FOLDER
from facetag.cpu import available_cores
from facetag.quantification.groupings import GROUPINGS
from facetag.quantification.held_out_answers import HeldOut
from facetag.quantification.intervals import ROUNDS
from facetag.vision.bundle import open_bundle

HALVED = ("race", "gender by age")
MOST_WORSE = 1.1
LEAST_INSIDE, MOST_INSIDE = 0.92, 0.98


@click.command(help=__doc__)
@click.argument("shards", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--model", type=click.Path(path_type=Path, file_okay=False), default=DEFAULT_FOLDER)
@click.option("--collections", type=int, default=200, show_default=True)
@click.option("--faces", type=int, default=500, show_default=True)
@click.option("--rounds", type=int, default=ROUNDS, show_default=True, help="Of each bootstrap.")
@click.option("--blur", type=float, default=0.0, help="Radius of a Gaussian blur, in pixels.")
@click.option("--quapy", is_flag=True, help="State QuaPy's estimates, too.")
@click.option(
    "--only",
    type=click.Choice([each.name for each in GROUPINGS]),
    multiple=True,
    help="Measure this grouping alone; may be given several times.",
)
@click.option("--seed", type=int, default=1, show_default=True)
def main(
    shards: tuple[Path, ...],
    model: Path,
    collections: int,
    faces: int,
    rounds: int,
    blur: float,
    quapy: bool,
    only: tuple[str, ...],
    seed: int,
) -> None:
    """Draw the collections, and print a line per grouping and what follows from them."""
    held_out = HeldOut.from_manifest(open_bundle(model).manifest)
    pool = answer_shards(shards, model, blur) if shards else None
    experiment = Experiment(held_out, pool, collections, faces, rounds, seed, quapy)
    click.echo(in_words(describe_machine()))
    click.echo(f"{collections} collections of at most {faces} faces per grouping, seed {seed}")
    click.echo(
        "grouping: faces; mean absolute error counted, estimated (ratio +- its standard error over "
        "collections); in the 95% interval, its mean width; doubtful; at the data's own shares, "
        "errors (ratio); in the interval"
    )
    found = []
    # Not forked: the bundle's answers may have started TensorFlow's threads.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(available_cores(), mp_context=spawn) as processes:
        groupings = [each for each in GROUPINGS if not only or each.name in only]
        for errors in processes.map(experiment.measure, groupings):
            found.append(errors)
            say_errors(errors)
    for text in conclusions(found):
        click.echo(text)


def say_errors(errors: GroupingErrors) -> None:
    """Print the line of one grouping."""
    far, as_data = errors.far, errors.as_data
    click.echo(
        f"{errors.grouping.name}: {far.faces:.0f}; {say_ratio(far)}; {far.inside:.3f}, "
        f"{far.width:.3f}; {far.doubtful:.2f}; {say_ratio(as_data)}; {as_data.inside:.3f}"
    )
    for name, error in errors.quapy.items():
        click.echo(f"  QuaPy's {name}: {error:.4f} ({error / far.counted:.2f})")


def say_ratio(errors: ShareErrors) -> str:
    """Return both mean errors, and their ratio with its standard error."""
    return (
        f"{errors.counted:.4f}, {errors.estimated:.4f} "
        f"({errors.ratio:.2f} +- {errors.ratio_error:.2f})"
    )


def conclusions(found: Sequence[GroupingErrors]) -> list[str]:
    """Return, for each promise, whether it holds in every grouping that it is made for."""
    promises = {
        f"at most half of the counted error, for {' and '.join(HALVED)}": [
            (errors, f"{errors.far.ratio:.2f}", errors.far.ratio <= 0.5)
            for errors in found
            if errors.grouping.name in HALVED
        ],
        f"at most {MOST_WORSE - 1:.0%} worse where counts are right": [
            (errors, f"{errors.as_data.ratio:.2f}", errors.as_data.ratio <= MOST_WORSE)
            for errors in found
        ],
        f"intervals hold {LEAST_INSIDE:.0%} to {MOST_INSIDE:.0%}": [
            (
                errors,
                f"{errors.far.inside:.3f}",
                LEAST_INSIDE <= errors.far.inside <= MOST_INSIDE,
            )
            for errors in found
        ],
    }
    return [
        f"{promise}: {'holds' if all(holds for *_, holds in checked) else 'DOES NOT HOLD'} ("
        + ", ".join(f"{errors.grouping.name} {figure}" for errors, figure, _ in checked)
        + ")"
        for promise, checked in promises.items()
        if checked
    ]


if __name__ == "__main__":
    main()
