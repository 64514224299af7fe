"""Make the pictures of README and docs from what ships.

\b
    python -m benchmarks.pictures                 # all of them, which takes about ten minutes
    python -m benchmarks.pictures --only report   # the README's picture, in a minute

The plot of speed needs an otherwise idle machine. The exploration needs the folder of UTKFace's
part-1.tar to part-4.tar in FACETAG_TEST_DATA and is left out without it.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from PIL import Image

from benchmarks.pictures.report_picture import find_browser, write_picture

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
BUILD = ROOT / "build"
EXIT_SOME_FAILED = 3
"""The exit status of `facetag tag` on the samples, some of which are damaged on purpose."""
PARTS = tuple(f"part-{number}.tar" for number in range(1, 5))
SPEED = "benchmarks.labelling_speed"


@click.command(help=__doc__)
@click.option(
    "--only",
    type=click.Choice(["report", "page", "exploration", "speed"]),
    multiple=True,
    help="Make only these pictures. May be repeated.",
)
def main(only: Sequence[str]) -> None:
    """Make the pictures in turn."""
    steps = {
        "report": picture_report,
        "page": picture_page,
        "exploration": picture_exploration,
        "speed": picture_speed,
    }
    BUILD.mkdir(exist_ok=True)
    for name, step in steps.items():
        if not only or name in only:
            step()


def picture_report() -> None:
    """Tag the sample photos and take a picture of their report."""
    find_browser()
    samples, page = BUILD / "samples", BUILD / "report.html"
    # A sample of an earlier version would be labelled too.
    shutil.rmtree(samples, ignore_errors=True)
    run("benchmarks.samples", str(samples))
    run("facetag_cli.main", "tag", str(samples), "--report", str(page), status=EXIT_SOME_FAILED)
    write_picture(page, IMAGES / "report.png")
    click.echo(f"Made {IMAGES / 'report.png'}.")


def picture_page() -> None:
    """Take pictures of the service's page, two of which the README shows."""
    run("benchmarks.pictures.page_pictures")


def picture_exploration() -> None:
    """Explore UTKFace's parts and put two of the plots one below the other."""
    folder = Path(os.environ.get("FACETAG_TEST_DATA", ""))
    if not all((folder / name).is_file() for name in PARTS):
        click.echo(f"Left out: exploration.png needs {', '.join(PARTS)} in FACETAG_TEST_DATA.")
        return
    explored = BUILD / "explored"
    run("facetag_cli.main", "explore", *(str(folder / name) for name in PARTS), "--report",
        str(explored))  # fmt: skip
    plots = [explored / "plots" / f"{name}.png" for name in ("ages", "all-three")]
    stack_images(plots).save(IMAGES / "exploration.png", optimize=True)
    click.echo(f"Made {IMAGES / 'exploration.png'}.")


def picture_speed() -> None:
    """Run the benchmark that draws photos per second by size and path."""
    click.echo(f"Running {SPEED}, which takes minutes.")
    run(SPEED, "--plot", str(IMAGES / "pipeline.png"))
    click.echo(f"Made {IMAGES / 'pipeline.png'}.")


def run(program: str, *arguments: str, status: int = 0) -> None:
    """Run a Python module; raise click.ClickException if it ends with another exit status."""
    environment = {"FACETAG_DATA_DIR": str(BUILD / "data"), **os.environ}
    ended = subprocess.run(
        [sys.executable, "-m", program, *arguments], cwd=ROOT, env=environment, check=False
    )
    if ended.returncode != status:
        raise click.ClickException(
            f"python -m {program} ended with exit status {ended.returncode} instead of {status}."
        )


def stack_images(paths: Sequence[Path], *, width: int = 960) -> Image.Image:
    """Return the images one below the other, all scaled to one width."""
    scaled: list[Image.Image] = []
    for path in paths:
        with Image.open(path) as plot:
            height = round(plot.height * width / plot.width)
            scaled.append(plot.convert("RGB").resize((width, height)))
    stacked = Image.new("RGB", (width, sum(image.height for image in scaled)), "white")
    top = 0
    for image in scaled:
        stacked.paste(image, (0, top))
        top += image.height
    return stacked


if __name__ == "__main__":
    main()
