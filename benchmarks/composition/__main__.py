"""Measure how near estimated shares are to the truth, beside counted ones.

Collections of faces are drawn with shares far from the data's: each group holds 1% to 60%. Without
SHARD, the faces are the held-out images whose answers the bundle's manifest keeps: half of them fit
the calibration, the collections are drawn from the other half, and the halves change with every
collection. With SHARDs, labelled images go through detector and crop, and the manifest's held-out
images fit the calibration. `--blur` makes those images another domain, where the method must fail.

    python -m benchmarks.composition
    python -m benchmarks.composition path/to/test.tar [--blur 3]
"""

import io
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np
from PIL import Image, ImageFilter

from benchmarks.harness.machine import describe_machine, in_words
from facetag.bundles.bundle_folder import DEFAULT_FOLDER
from facetag.quantification.domain_shift import measure_shift
from facetag.quantification.expectation_maximization import estimate_shares
from facetag.quantification.groupings import GROUPINGS, Grouping, age_codes
from facetag.quantification.held_out import Answers, Codes, HeldOut
from facetag.quantification.intervals import bootstrap_shares
from facetag.quantification.likelihoods import fit_likelihoods
from facetag.settings import load_settings
from facetag.vision.bundle import open_bundle
from facetag_trainer.data.shards import Sample, read_shards
from facetag_trainer.evaluation.bundle_evaluation import evaluate_bundle

SMALLEST_SHARE, LARGEST_SHARE = 0.01, 0.6
CONCENTRATION = 0.6
"""Of the Dirichlet distribution that shares are drawn from: below 1, a few groups hold most."""
ROUNDS = 100


@click.command(help=__doc__)
@click.argument("shards", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--model", type=click.Path(path_type=Path, file_okay=False), default=DEFAULT_FOLDER)
@click.option("--collections", type=int, default=200, show_default=True)
@click.option("--faces", type=int, default=500, show_default=True)
@click.option("--blur", type=float, default=0.0, help="Radius of a Gaussian blur, in pixels.")
@click.option("--seed", type=int, default=1, show_default=True)
def main(
    shards: tuple[Path, ...], model: Path, collections: int, faces: int, blur: float, seed: int
) -> None:
    """Draw the collections and print a line per grouping."""
    held_out = HeldOut.from_manifest(open_bundle(model).manifest)
    pool = _answer(shards, model, blur) if shards else None
    click.echo(in_words(describe_machine()))
    click.echo(f"{collections} collections of {faces} faces per grouping, seed {seed}")
    click.echo("grouping: mean absolute error counted, estimated; in the 95% interval; doubtful")
    for grouping in GROUPINGS:
        rng = np.random.default_rng(seed)
        rows = [
            _measure(grouping, drawn, known, faces, rng)
            for drawn, known in _pairs(held_out, pool, collections, rng)
        ]
        counted, estimated, inside, doubtful = np.array(rows).mean(axis=0)
        click.echo(
            f"{grouping.name}: {counted:.4f}, {estimated:.4f} ({estimated / counted:.2f}); "
            f"{inside:.3f}; {doubtful:.2f}"
        )


def _pairs(
    held_out: HeldOut, pool: HeldOut | None, collections: int, rng: np.random.Generator
) -> Iterator[tuple[HeldOut, HeldOut]]:
    """Yield the faces to draw from and those that fit the calibration."""
    for _ in range(collections):
        if pool is not None:
            yield pool, held_out
            continue
        order = rng.permutation(len(held_out))
        half = len(order) // 2
        yield held_out.take(order[:half]), held_out.take(order[half:])


def _measure(
    grouping: Grouping, pool: HeldOut, known: HeldOut, faces: int, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    chosen = _draw(grouping.codes(pool.codes), len(grouping.labels), faces, rng)
    collection = pool.take(chosen)
    codes = grouping.codes(collection.codes)
    truth = np.bincount(codes, minlength=len(grouping.labels)) / len(codes)
    (shares,) = bootstrap_shares(
        collection.answers, np.arange(len(codes)), known, [grouping], rounds=ROUNDS
    )
    low, high = shares.interval()
    likelihoods = fit_likelihoods(known)
    doubtful = False
    for factor in grouping.factors:
        single = Grouping((factor,))
        estimated = estimate_shares(likelihoods.of(single, collection.answers))
        shift = measure_shift(factor, estimated, collection.answers, known)
        doubtful = doubtful or (shift is not None and shift.doubtful)
    return (
        float(np.abs(shares.counted - truth).mean()),
        float(np.abs(shares.estimated - truth).mean()),
        float(((low <= truth) & (truth <= high)).mean()),
        float(doubtful),
    )


def _draw(codes: Codes, groups: int, faces: int, rng: np.random.Generator) -> Codes:
    """Return the places of the faces of one collection, drawn with replacement by group."""
    wanted = rng.dirichlet(np.full(groups, CONCENTRATION))
    wanted = np.clip(wanted, SMALLEST_SHARE, LARGEST_SHARE)
    members = [np.flatnonzero(codes == group) for group in range(groups)]
    wanted *= [len(places) > 0 for places in members]
    numbers = rng.multinomial(faces, wanted / wanted.sum())
    drawn = [
        rng.choice(places, number)
        for places, number in zip(members, numbers, strict=True)
        if number
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
