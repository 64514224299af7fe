"""Measure how much memory labelling holds over thousands of photos of varied sizes.

    python -m benchmarks.memory --count 5000 --plot build/memory.png

The program labels photos with the worker's reader and labeller, each photo of another size than the
one before. After every hundred photos it notes the resident memory at work, then at rest, after
giving free memory back as a worker does between two drains. At the end it labels a JPEG of 100
megapixels and a PNG of 20,000 x 20 pixels. It needs Linux, because it reads /proc.
"""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path

import click
import numpy as np

from benchmarks.harness.local_api import peak_mb, resident_mb
from benchmarks.harness.machine import describe_machine, in_words
from benchmarks.harness.photo_mix import make_photo
from benchmarks.samples import encode
from facetag.cpu import available_cores
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.inference.glibc_heap import return_free_memory, set_up_heaps

SIZES = 250
"""Number of distinct photos, each of a size of its own, which are labelled in turn."""
EVERY = 100
EARLY = 1000


@click.command(help=__doc__)
@click.option("--count", default=5000, show_default=True, help="Photos to label.")
@click.option("--seed", default=1, show_default=True, help="Another seed makes other photos.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw memory into this file.")
def main(count: int, seed: int, plot: Path | None) -> None:
    """Label, note memory, and print the report as JSON."""
    set_up_heaps()
    slots = CpuSlots.for_lanes(available_cores())
    slots.limit_tensorflow()
    from benchmarks.harness.labelling_paths import OurPath
    from facetag.settings import load_settings

    machine = describe_machine()
    with tempfile.TemporaryDirectory() as folder:
        paths, large = write_apart(Path(folder), min(SIZES, count), seed)
        ours = OurPath(load_settings(), slots)
        at_work, at_rest = [], []
        turns = islice(cycle(paths), count)
        while batch := list(islice(turns, EVERY)):
            ours.label(batch)
            at_work.append(resident_mb(os.getpid()))
            return_free_memory()
            at_rest.append(resident_mb(os.getpid()))
        peak = peak_mb(os.getpid())
        peaks = {}
        for path in large:
            ours.label([path])
            peaks[path.name] = round(peak_mb(os.getpid()), 1)
    report = {
        "machine": machine,
        "photos": count,
        "at_work_mb": [round(value, 1) for value in at_work],
        "at_rest_mb": [round(value, 1) for value in at_rest],
        "growth_at_work": grown(at_work),
        "growth_at_rest": grown(at_rest),
        "peak_mb": round(peak, 1),
        "peak_mb_after": peaks,
    }
    click.echo(json.dumps(report, indent=2))
    if plot:
        draw({"at work": at_work, "at rest": at_rest}, in_words(machine), plot)


def grown(noted: Sequence[float]) -> float | None:
    """Return the share by which memory grew after the first thousand photos; None if fewer."""
    early = EARLY // EVERY
    return round(noted[-1] / noted[early - 1] - 1, 4) if len(noted) > early else None


def write_apart(folder: Path, count: int, seed: int) -> tuple[list[Path], list[Path]]:
    """Write all photos in another process, so that its memory is not measured."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
        varied = apart.submit(write_varied, folder, count, seed).result()
        return varied, apart.submit(write_large, folder).result()


def write_varied(folder: Path, count: int, seed: int) -> list[Path]:
    """Write photos of 0.05 to 12 megapixels, smaller ones more often; return their paths."""
    paths = []
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        megapixels = float(np.exp(rng.uniform(np.log(0.05), np.log(12))))
        path = folder / f"{index:05d}.jpg"
        path.write_bytes(encode(make_photo(megapixels, rng), "JPEG", quality=88))
        paths.append(path)
    return paths


def write_large(folder: Path) -> list[Path]:
    """Write a JPEG of 100 megapixels with faces, and a PNG of 20,000 x 20 pixels."""
    from PIL import Image

    photo, strip = folder / "100 MP.jpg", folder / "20000x20.png"
    photo.write_bytes(encode(make_photo(100, np.random.default_rng(1)), "JPEG", quality=88))
    strip.write_bytes(encode(Image.new("RGB", (20_000, 20), "grey"), "PNG"))
    return [photo, strip]


def draw(noted: Mapping[str, Sequence[float]], title: str, file: Path) -> None:
    """Draw resident memory over the number of photos."""
    from facetag_trainer.reports.figures import new_axes

    figure, axes = new_axes(6, 3.5)
    for name, values in noted.items():
        axes.plot([EVERY * (index + 1) for index in range(len(values))], values, label=name)
    axes.legend()
    axes.set_ylim(0, None)
    axes.set_xlabel("photos labelled")
    axes.set_ylabel("resident memory, MB")
    axes.set_title(title, fontsize=7)
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    main()
