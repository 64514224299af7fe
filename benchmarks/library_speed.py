"""Measure `facetag.label` beside `facetag tag`: the same lines, and how fast each is.

    python -m benchmarks.library_speed
    python -m benchmarks.library_speed --photos DIR --rounds 5

`whole` is a process that begins with nothing running and labels the folder: `facetag tag` with its
servers, and Python with `facetag.label`. `warm` is the command beside a running service, and a
FaceLabeller that is loaded. The two take turns. The program fails if the lines differ in a byte, or
if the library is slower.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import click

from benchmarks.harness.machine import describe_machine, in_words
from benchmarks.harness.photo_mix import find_photos, write_photos
from facetag.standalone.processes.environment import python_environment

COMMAND = (sys.executable, "-P", "-m", "facetag_cli.main")
LIBRARY = """if True:
    import facetag, sys, time
    from facetag.results.name_escapes import dump_json

    # Each line names a folder, and the file for its results.
    labeller = facetag.FaceLabeller()
    for words in sys.stdin:
        folder, output = words.rstrip("\\n").split("\\t")
        began = time.perf_counter()
        with open(output, "w", encoding="utf-8") as file:
            file.writelines(dump_json(line) + "\\n" for line in labeller.label(folder))
        print(time.perf_counter() - began, flush=True)
"""
Turn = Callable[[], float]
"""Labels the folder and returns the seconds that it took."""


@click.command(help=__doc__)
@click.option("--photos", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="A folder of photos to use instead of the fixed mix.")  # fmt: skip
@click.option("--count", default=100, show_default=True, help="Number of photos of the fixed mix.")
@click.option("--rounds", default=3, show_default=True, help="Rounds to take medians over.")
def main(photos: Path | None, count: int, rounds: int) -> None:
    """Measure in turns and print the figures; fail if the lines differ or the library is slower."""
    click.echo(in_words(describe_machine()))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        where = photos or place / "photos"
        number = len(find_photos(where) if photos else write_photos(where, count))
        by_command, by_library = place / "command.jsonl", place / "library.jsonl"
        environment = python_environment(
            FACETAG_DATA_DIR=str(place / "data"), XDG_CACHE_HOME=str(place / "cache")
        )
        alone = environment | {"FACETAG_LINGER_S": "0"}

        def tag(surroundings: dict[str, str]) -> float:
            words = ("tag", where, "--fresh", "--quiet", "--output", by_command)
            began = time.perf_counter()
            done = subprocess.run([*COMMAND, *words], env=surroundings, check=False)
            if done.returncode not in (0, 3):
                raise click.ClickException("`facetag tag` failed: see above.")
            return time.perf_counter() - began

        def label_whole() -> float:
            began = time.perf_counter()
            with loaded_library(where, by_library, environment) as label:
                label()
            return time.perf_counter() - began

        # Not measured: both find the compiled network that this run keeps, and photos in storage.
        tag(alone)
        slow = compare("whole", number, rounds, lambda: tag(alone), label_whole)
        with running_service(environment), loaded_library(where, by_library, environment) as label:
            tag(environment)
            slow |= compare("warm", number, rounds, lambda: tag(environment), label)
        same = by_command.read_bytes() == by_library.read_bytes()
        click.echo(f"the same {number} lines, byte for byte: {'yes' if same else 'NO'}")
    if slow or not same:
        raise click.ClickException("The library is slower, or its lines are not the command's.")


def compare(title: str, photos: int, rounds: int, command: Turn, library: Turn) -> bool:
    """Print the median speed of both, which take turns; return whether the library is slower."""
    taken = [(command(), library()) for _ in range(rounds)]
    speeds = [photos / median(seconds) for seconds in zip(*taken, strict=True)]
    ratio = speeds[1] / speeds[0]
    click.echo(
        f"{title:6} facetag tag {speeds[0]:6.2f} photos/s, facetag.label {speeds[1]:6.2f} "
        f"photos/s, {ratio:.2f} x"
    )
    return ratio < 1


@contextmanager
def running_service(environment: dict[str, str]) -> Iterator[None]:
    """End, at the end, the service that `facetag tag` starts and leaves."""
    try:
        yield
    finally:
        subprocess.run([*COMMAND, "down"], env=environment, check=True, capture_output=True)


@contextmanager
def loaded_library(folder: Path, output: Path, environment: dict[str, str]) -> Iterator[Turn]:
    """Start a process that labels the folder each time that it is called."""
    with subprocess.Popen(
        [sys.executable, "-P", "-c", LIBRARY],
        env=environment | {"PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        wanted, answers = process.stdin, process.stdout
        if wanted is None or answers is None:
            raise click.ClickException("The library's process has no pipes.")

        def label() -> float:
            wanted.write(f"{folder}\t{output}{os.linesep}")
            wanted.flush()
            return float(answers.readline())

        yield label
        wanted.close()


if __name__ == "__main__":
    main()
