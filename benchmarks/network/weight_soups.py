"""Average the weights of bundles, and judge the averages on held-out images.

Bundles that were fitted from one another often lie in one basin, where an average reads as well as
the best of them or better (model soups; Wortsman et al. 2022, arXiv:2203.05482). Batch norms take
their statistics anew from training images. The validation and the calibration part judge, clean and
corrupted in twelve ways; the holdout part is read by --holdout alone. Give the training shards.

    python -m benchmarks.network.weight_soups part-*.tar --bundle A --bundle B --shares 0.5,0.5

The averages are compared with the first bundle. Shares 0,1 are the second bundle by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
import keras
import numpy as np
import numpy.typing as npt

from benchmarks.network.figure_gains import judge, measure_figures
from benchmarks.network.judging_cache import cut_to_judge
from facetag.heads import AGE
from facetag.settings import load_settings
from facetag.vision.bundle import Bundle, open_bundle
from facetag.vision.bundle_writer import without_identity, write_bundle
from facetag.vision.network.attributes import build_network
from facetag.vision.network.backbones import freeze_layers
from facetag.vision.network.calibration import Calibration
from facetag.vision.network.mirror_averaging import Outputs
from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.calibration.bundle_calibration import fit_age_line, read_held_out_crops
from facetag_trainer.data.augmentation import centre_crop
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.data.splits import CALIBRATION, HOLDOUT, split_held_out
from facetag_trainer.evaluation.bundle_evaluation import batches
from facetag_trainer.fit.weight_averaging import retake_statistics
from facetag_trainer.retraining.outputs.fast_reader import compile_reader

BATCH = 64
SEED = 1
Weights = Sequence[npt.NDArray[np.float32]]


def parse_shares(
    _context: click.Context, _option: click.Parameter, texts: tuple[str, ...]
) -> list[tuple[float, ...]]:
    """Return the shares of the bundles in each average; they add up to 1."""
    shares = [tuple(float(part) for part in text.split(",")) for text in texts]
    for one in shares:
        if abs(sum(one) - 1) > 1e-6:
            raise click.BadParameter(f"{one} do not add up to 1.")
    return shares


@click.command(help=__doc__)
@click.argument("shards", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--bundle", "folders", multiple=True, required=True, help="Folder of a bundle.",
              type=click.Path(path_type=Path, exists=True, file_okay=False))  # fmt: skip
@click.option("--shares", multiple=True, callback=parse_shares,
              help="Shares of the bundles in an average, such as 0.5,0.5.")  # fmt: skip
@click.option("--cache", type=click.Path(path_type=Path), default=Path(".cache"),
              help="Folder of crop caches.")  # fmt: skip
@click.option("--holdout", is_flag=True, help="Judge on the holdout part instead.")
@click.option("--write", type=click.Path(path_type=Path), help="Write the last average here.")
def main(
    shards: tuple[Path, ...],
    folders: tuple[Path, ...],
    shares: list[tuple[float, ...]],
    cache: Path,
    holdout: bool,
    write: Path | None,
) -> None:
    """Read the held-out images with each bundle and each average, and print a line for each."""
    bundles = [open_bundle(folder) for folder in folders]
    first = bundles[0]
    crops = cut_to_judge(shards, cache, first, load_settings())
    bench = Bench(first, crops, HOLDOUT if holdout else None)
    reference = bench.measure(first.load_network())
    click.echo(f"{first.version}: {_in_words(reference)}")
    weights = [bundle.load_network().get_weights() for bundle in bundles]
    frozen = first.manifest["training"]["fit"]["frozen_layers"]
    for parts in shares:
        network = mix(first.spec, weights, parts, crops, frozen=frozen)
        figures = bench.measure(network)
        verdict = judge(reference, figures)
        click.echo(f"{','.join(f'{part:g}' for part in parts)}: {_in_words(figures)}")
        for name, gain in {**verdict.gains, "mean in standard errors": verdict.mean}.items():
            click.echo(f"    {name}: {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]")
        click.echo(f"    surely better: {'yes' if verdict.is_better else 'no'}")
        if write is not None and parts == shares[-1]:
            _write(write, network, bundles)


@dataclass(frozen=True, slots=True)
class Bench:
    """The held-out images of a cache, and how a bundle's networks read them."""

    bundle: Bundle
    crops: CropCache
    part: str | None
    """The part that judges; None for validation and calibration together."""

    def measure(self, network: keras.Model) -> dict[str, npt.NDArray[np.float64]]:
        """Return the six figures of a network, with the line through ages that suits it."""
        spec, crops = self.bundle.spec, self.crops
        read = compile_reader(network, spec, self.bundle.mirror)
        clean, corrupted = (
            read_held_out_crops(read, spec, crops, spoil=spoil) for spoil in (False, True)
        )
        parts = split_held_out(crops.hashes[crops.validation])
        labels = {name: crops.labels[name][crops.validation] for name in spec.heads}
        fitted = parts == CALIBRATION
        line = fit_age_line(labels[AGE.name][fitted], clean[AGE.name][fitted, 0])
        calibration = Calibration({}, {}, line)
        judges = parts == self.part if self.part else parts != HOLDOUT
        judges &= ~np.any([np.isnan(values) for values in labels.values()], axis=0)

        def take(values: Outputs) -> Outputs:
            return {name: value[judges] for name, value in values.items()}

        return measure_figures(
            take(labels), *(take(calibration.apply(one)) for one in (clean, corrupted))
        )


def mix(
    spec: NetworkSpec,
    weights: Sequence[Weights],
    shares: Sequence[float],
    crops: CropCache,
    *,
    frozen: int,
) -> keras.Model:
    """Return the network of the weights' mean by these shares; one bundle alone stays as it is.

    The first `frozen` layers of the backbone keep the mean of their statistics too.
    """
    network = build_network(spec)
    freeze_layers(network, spec.backbone, frozen)
    columns = zip(*weights, strict=True)
    network.set_weights([np.tensordot(shares, np.stack(column), 1) for column in columns])
    if max(shares) < 1:
        # Shards are often sorted by label, and a batch's spread must be that of all.
        shuffled = np.random.default_rng(SEED).permutation(np.flatnonzero(~crops.validation))
        groups = batches(shuffled.tolist(), BATCH)
        retake_statistics(network, (_show(crops, group) for group in groups))
    return network


def _show(crops: CropCache, indices: Sequence[int]) -> npt.NDArray[np.float32]:
    images = [centre_crop(crops.crops[index], crops.size) for index in indices]
    return np.stack(images).astype(np.float32)


def _write(folder: Path, network: keras.Model, bundles: Sequence[Bundle]) -> None:
    """Write an average as a bundle, which `facetag calibrate` has to calibrate anew."""
    first, *others = bundles
    averaged = [bundle.version for bundle in others]
    facts = {
        **without_identity(first.manifest),
        "created": datetime.now(UTC).date().isoformat(),
        "parent": first.version,
        "training": {**first.manifest["training"], "averaged": averaged},
    }
    write_bundle(folder, network, first.spec, first.crop_rule, facts)


def _in_words(figures: dict[str, npt.NDArray[np.float64]]) -> str:
    return "; ".join(f"{name} {values[0]:.4f}" for name, values in figures.items())


if __name__ == "__main__":
    main()
