"""Measure how near estimated shares are to the truth, beside counted ones.

Collections of faces are drawn with shares far from the data's: each group holds 1% to 60%. No face
occurs twice in a collection, so collections of rare groups are smaller than asked for. Without
SHARD, the faces are the held-out images whose answers the bundle's manifest keeps: at most half of
a group's faces are drawn, and all that are not drawn fit the calibration. With SHARDs, labelled
images go through detector and crop, and the manifest's held-out images fit the calibration.
`--blur` makes those images another domain, where the method must fail. With `--quapy`, QuaPy's
estimates are stated too (`pip install quapy`).

    python -m benchmarks.composition
    python -m benchmarks.composition path/to/test.tar [--blur 3]
"""

import io
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from PIL import Image, ImageFilter

from benchmarks.composition.quapy_estimates import compare_quapy
from benchmarks.harness.machine import describe_machine, in_words
from facetag.bundles.bundle_folder import DEFAULT_FOLDER
from facetag.quantification.domain_shift import CERTAIN_FACTORS, measure_shift
from facetag.quantification.expectation_maximization import estimate_shares
from facetag.quantification.groupings import GROUPINGS, Grouping, age_codes
from facetag.quantification.held_out import Answers, Codes, HeldOut
from facetag.quantification.intervals import ROUNDS, bootstrap_shares
from facetag.quantification.likelihoods import fit_likelihoods
from facetag.settings import load_settings
from facetag.vision.bundle import open_bundle
from facetag_trainer.data.shards import Sample, read_shards
from facetag_trainer.evaluation.bundle_evaluation import evaluate_bundle

SMALLEST_SHARE, LARGEST_SHARE = 0.01, 0.6
CONCENTRATION = 0.6
"""Of the Dirichlet distribution that shares are drawn from: below 1, a few groups hold most."""
FEWEST_FACES = 150
"""Collections are not made smaller than this to keep the shares that were drawn."""
LARGE_GROUP = 25
"""Groups with fewer faces to draw from do not make collections smaller."""


@click.command(help=__doc__)
@click.argument("shards", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--model", type=click.Path(path_type=Path, file_okay=False), default=DEFAULT_FOLDER)
@click.option("--collections", type=int, default=200, show_default=True)
@click.option("--faces", type=int, default=500, show_default=True)
@click.option("--rounds", type=int, default=ROUNDS, show_default=True, help="Of each bootstrap.")
@click.option("--blur", type=float, default=0.0, help="Radius of a Gaussian blur, in pixels.")
@click.option("--quapy", is_flag=True, help="State QuaPy's estimates, too.")
@click.option("--seed", type=int, default=1, show_default=True)
def main(
    shards: tuple[Path, ...],
    model: Path,
    collections: int,
    faces: int,
    rounds: int,
    blur: float,
    quapy: bool,
    seed: int,
) -> None:
    """Draw the collections and print a line per grouping."""
    held_out = HeldOut.from_manifest(open_bundle(model).manifest)
    pool = _answer(shards, model, blur) if shards else None
    click.echo(in_words(describe_machine()))
    click.echo(f"{collections} collections of at most {faces} faces per grouping, seed {seed}")
    click.echo(
        "grouping: faces; mean absolute error counted, estimated (ratio); in the 95% interval, "
        "its mean width; doubtful"
    )
    for grouping in GROUPINGS:
        rng = np.random.default_rng(seed)
        measured = [
            _measure(grouping, *_draw_pair(grouping, held_out, pool, faces, rng), rounds)
            for _ in range(collections)
        ]
        number, counted, estimated, inside, width, doubtful = np.mean(measured, axis=0)
        click.echo(
            f"{grouping.name}: {number:.0f}; {counted:.4f}, {estimated:.4f} "
            f"({estimated / counted:.2f}); {inside:.3f}, {width:.3f}; {doubtful:.2f}"
        )
        if quapy and len(grouping.factors) == 1 and grouping.name != "age":
            rng = np.random.default_rng(seed)
            pairs = [_draw_pair(grouping, held_out, pool, faces, rng) for _ in range(collections)]
            for name, error in compare_quapy(grouping, pairs).items():
                click.echo(f"  QuaPy's {name}: {error:.4f} ({error / counted:.2f})")


def _draw_pair(
    grouping: Grouping,
    held_out: HeldOut,
    pool: HeldOut | None,
    faces: int,
    rng: np.random.Generator,
) -> tuple[HeldOut, HeldOut]:
    """Return a collection, and the faces that fit its calibration."""
    groups = len(grouping.labels)
    if pool is not None:
        codes = grouping.codes(pool.codes)
        return pool.take(_draw(codes, np.bincount(codes, minlength=groups), faces, rng)), held_out
    codes = grouping.codes(held_out.codes)
    chosen = _draw(codes, np.bincount(codes, minlength=groups) // 2, faces, rng)
    left = np.setdiff1d(np.arange(len(held_out)), chosen)
    return held_out.take(chosen), held_out.take(left)


def _measure(
    grouping: Grouping, collection: HeldOut, known: HeldOut, rounds: int
) -> tuple[float, ...]:
    codes = grouping.codes(collection.codes)
    truth = np.bincount(codes, minlength=len(grouping.labels)) / len(codes)
    (shares,) = bootstrap_shares(
        collection.answers, np.arange(len(codes)), known, [grouping], rounds=rounds
    )
    low, high = shares.interval()
    likelihoods = fit_likelihoods(known)
    doubtful = False
    for factor in set(grouping.factors) & set(CERTAIN_FACTORS):
        crossing = Grouping((factor, "age"))
        estimated = estimate_shares(likelihoods.of(crossing, collection.answers))
        shift = measure_shift(factor, crossing, estimated, collection.answers, known)
        doubtful = doubtful or (shift is not None and shift.doubtful)
    return (
        float(len(codes)),
        float(np.abs(shares.counted - truth).mean()),
        float(np.abs(shares.estimated - truth).mean()),
        float(((low <= truth) & (truth <= high)).mean()),
        float((high - low).mean()),
        float(doubtful),
    )


def _draw(codes: Codes, most: Codes, faces: int, rng: np.random.Generator) -> Codes:
    """Return the places of distinct faces, at most `most` (groups,) of each group."""
    wanted = rng.dirichlet(np.full(len(most), CONCENTRATION))
    wanted = np.clip(wanted, SMALLEST_SHARE, LARGEST_SHARE) * (most > 0)
    wanted /= wanted.sum()
    large = most >= LARGE_GROUP
    fitting = (most[large] / wanted[large]).min(initial=faces)
    number = int(np.clip(fitting, min(FEWEST_FACES, faces), faces))
    numbers = np.minimum(rng.multinomial(number, wanted), most)
    drawn = [
        rng.choice(np.flatnonzero(codes == group), count, replace=False)
        for group, count in enumerate(numbers)
        if count
    ]
    return np.concatenate(drawn)


def _answer(shards: Sequence[Path], model: Path, blur: float) -> HeldOut:
    """Return what the bundle says of the shards' fully labelled images, seen as in the service."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [_blurred(shards, Path(folder), blur)] if blur else list(shards)
        found = evaluate_bundle(open_bundle(model), paths, load_settings())
    known = np.flatnonzero(~np.any([np.isnan(one) for one in found.labels.values()], axis=0))
    outputs = {name: values.astype(np.float64) for name, values in found.outputs.items()}
    labels = {name: values[known] for name, values in found.labels.items()}
    return HeldOut(
        Answers(outputs["gender"][known, 0], outputs["race"][known], outputs["age"][known, 0]),
        {
            "gender": labels["gender"].astype(np.intp),
            "race": labels["race"].astype(np.intp),
            "age": age_codes(labels["age"].astype(np.float64)),
        },
    )


def _blurred(shards: Sequence[Path], folder: Path, radius: float) -> Path:
    path = folder / "blurred.tar"
    with tarfile.open(path, "w") as archive:
        for item in read_shards(shards):
            if not isinstance(item, Sample):
                continue
            photo = Image.open(io.BytesIO(item.data)).convert("RGB")
            buffer = io.BytesIO()
            photo.filter(ImageFilter.GaussianBlur(radius)).save(buffer, "JPEG", quality=90)
            member = tarfile.TarInfo(Path(item.name).name)
            member.size = buffer.tell()
            archive.addfile(member, io.BytesIO(buffer.getvalue()))
    return path


if __name__ == "__main__":
    main()
