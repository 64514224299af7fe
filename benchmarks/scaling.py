"""Measure the speed of several worker processes on the cores that one would use alone.

    python -m benchmarks.scaling --processes 1 --processes 2 --processes 4

For each number of processes, `facetag worker --concurrency N` runs on real servers and divides the
cores among its children. The numbers take turns, so that a change of the machine's load affects all
alike.
"""

import json
import tempfile
from pathlib import Path
from statistics import median

import click

from benchmarks.harness.machine import describe_machine, in_words
from benchmarks.harness.measured_service import run_worker, serve
from benchmarks.harness.photo_mix import find_photos, write_photos


@click.command(help=__doc__)
@click.option("--processes", multiple=True, default=(1, 2, 4), show_default=True,
              type=click.IntRange(1, 64), help="Worker processes; repeatable.")  # fmt: skip
@click.option("--photos", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="A folder of photos to use instead of the fixed mix.")  # fmt: skip
@click.option("--count", default=160, show_default=True, help="Number of photos of the fixed mix.")
@click.option("--rounds", default=5, show_default=True, help="Rounds to take medians over.")
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table",
              show_default=True, help="Output format.")  # fmt: skip
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the figures into this file.")
def main(
    processes: tuple[int, ...],
    photos: Path | None,
    count: int,
    rounds: int,
    format_: str,
    plot: Path | None,
) -> None:
    """Measure, print, draw."""
    machine = describe_machine()
    rates: dict[int, list[float]] = {number: [] for number in processes}
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder) / "data") as service:
        paths = find_photos(photos) if photos else write_photos(Path(folder) / "photos", count)
        keys = service.store(paths)
        for _ in range(rounds):
            for number in processes:
                with run_worker(service, concurrency=number):
                    # The first photos fill caches and do not count.
                    service.label(keys[: 16 * number])
                    rates[number].append(len(keys) / service.label(keys))
    medians = {number: median(values) for number, values in rates.items()}
    first = medians[processes[0]]
    report = {
        "machine": machine,
        "photos": len(paths),
        "rounds": rounds,
        "photos_per_s": {str(number): round(rate, 2) for number, rate in medians.items()},
        "of_the_first": {str(number): round(rate / first, 3) for number, rate in medians.items()},
    }
    if format_ == "json":
        click.echo(json.dumps(report, indent=2))
    else:
        click.echo(in_words(machine))
        for number, rate in medians.items():
            click.echo(f"{number} processes  {rate:6.2f} photos per second, {rate / first:.3f} x")
    if plot:
        draw(medians, in_words(machine), plot)


def draw(medians: dict[int, float], title: str, file: Path) -> None:
    """Draw photos per second by the number of processes."""
    from facetag_trainer.reports.figures import new_axes

    figure, axes = new_axes(6, 3.5)
    bars = axes.bar([str(number) for number in medians], list(medians.values()))
    axes.bar_label(bars, fmt="%.2f")
    axes.set_xlabel("worker processes")
    axes.set_ylabel("photos per second")
    axes.set_title(title, fontsize=7)
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    main()
