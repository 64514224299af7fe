"""Measure how fast photos are labelled, as ratios of medians over interleaved rounds.

    python -m benchmarks.labelling_speed                 # 40 photos of the fixed mix
    python -m benchmarks.labelling_speed --photos DIR --plot docs/images/pipeline.png

\b
(a)  the paper's path, one photo at a time: `mtcnn` on the whole photo, then the network
(a') the same with `mtcnn` on our working copy, for faces as small as we search for
(b)  our pipeline in one process: the worker's reader and labeller, which overlap
(d)  the bound: only the networks in full batches, for the same pyramids, patches and faces
Each path runs in a process of its own, and they take turns. (b) uses one lane per core, as the
worker does; the others use all cores in each operation. The program benchmarks.service_speed
measures (c), the whole service.
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
from benchmarks.harness.photo_mix import find_photos, sort_by_size, write_photos
from benchmarks.harness.separate_process import Turn, run_apart

Turns = dict[str, dict[str, list[Turn]]]
"""Turns by size class, path and round."""
TITLES = {
    "a": "(a) mtcnn, then the network, one by one",
    "a'": "(a') mtcnn on our working copy",
    "b": "(b) our pipeline in process",
    "d": "(d) only the networks, in full batches",
}

IN_BATCHES = ("b", "d")


@click.command(help=__doc__)
@click.option("--photos", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="A folder of photos to use instead of the fixed mix.")  # fmt: skip
@click.option("--count", default=40, show_default=True, help="Number of photos of the fixed mix.")
@click.option("--rounds", default=5, show_default=True, help="Rounds to take medians over.")
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table",
              show_default=True, help="Output format.")  # fmt: skip
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the figures into this file.")
def main(photos: Path | None, count: int, rounds: int, format_: str, plot: Path | None) -> None:
    """Measure, print, draw."""
    machine = describe_machine()
    with tempfile.TemporaryDirectory() as folder:
        paths = find_photos(photos) if photos else write_photos(Path(folder), count)
        report = {"machine": machine, "photos": len(paths), "rounds": rounds,
                  **measure(paths, rounds)}  # fmt: skip
    if format_ == "json":
        click.echo(json.dumps(report, indent=2))
    else:
        print_report(report)
    if plot:
        draw(report, plot)


def measure(paths: Sequence[Path], rounds: int) -> dict[str, Any]:
    """Return photos per second of each path by size class, ratios, and milliseconds per stage."""
    classes = dict(sort_by_size(paths))
    sets = {"all": list(paths), **(classes if len(classes) > 1 else {})}
    turns: Turns = {name: {path: [] for path in TITLES} for name in sets}
    with ExitStack() as stack:
        ways = {path: stack.enter_context(run_apart(path)) for path in TITLES}
        for path, way in ways.items():
            for members in sets.values():
                # The first turn loads and traces networks; for (d), it also finds out their inputs.
                way(members if path in IN_BATCHES else members[:2])
        for _ in range(rounds):
            for name, members in sets.items():
                for path, way in ways.items():
                    # (a) and (a') take one photo at a time: all take the sum over classes.
                    if name != "all" or len(sets) == 1 or path in IN_BATCHES:
                        turns[name][path].append(way(members))
            if len(sets) > 1:
                for path in ("a", "a'"):
                    last = [turns[name][path][-1] for name in classes]
                    turns["all"][path].append(_sum(last))
    figures = {name: _figures(turns[name], len(members)) for name, members in sets.items()}
    ours = [turn for of in turns.values() for turn in of["b"]]
    labelled = rounds * sum(len(members) for members in sets.values())
    stages = {
        stage: round(sum(turn.stage_ms[stage] for turn in ours) / labelled, 2)
        for stage in ours[0].stage_ms
    }
    return {"sizes": figures, "stage_ms": stages}


def _sum(turns: Sequence[Turn]) -> Turn:
    return Turn(
        sum(turn.seconds for turn in turns),
        sum(turn.cpu_s for turn in turns),
        sum(turn.faces for turn in turns),
        {},
        max(turn.peak_mb for turn in turns),
    )


def _figures(turns: Mapping[str, list[Turn]], photos: int) -> dict[str, Any]:
    rates = {path: [photos / turn.seconds for turn in of] for path, of in turns.items()}
    medians = {path: median(values) for path, values in rates.items()}
    return {
        "photos": photos,
        "faces": {path: of[-1].faces for path, of in turns.items() if path != "d"},
        "photos_per_s": {path: round(rate, 2) for path, rate in medians.items()},
        # CPU time of all threads varies less with other load on the machine than seconds do.
        "cpu_ms": {
            path: round(1000 * median(turn.cpu_s for turn in of) / photos)
            for path, of in turns.items()
        },
        "b_over_a": round(medians["b"] / medians["a"], 2),
        "b_over_a'": round(medians["b"] / medians["a'"], 2),
        "b_over_d": round(medians["b"] / medians["d"], 3),
        "spread": {
            path: [round(min(values), 2), round(max(values), 2)] for path, values in rates.items()
        },
    }


def print_report(report: Mapping[str, Any]) -> None:
    """Print the report as tables."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(in_words(report["machine"]))
    console.print(f"{report['photos']} photos, medians of {report['rounds']} rounds")
    table = Table("size", "photos", *TITLES, "b/a", "b/a'", "b/d", title="photos per second")
    for name, row in report["sizes"].items():
        rates = [f"{row['photos_per_s'][path]:.2f}" for path in TITLES]
        ratios = [f"{row[key]:.2f}" for key in ("b_over_a", "b_over_a'", "b_over_d")]
        table.add_row(name, str(row["photos"]), *rates, *ratios)
    console.print(table)
    table = Table("size", *TITLES, title="CPU milliseconds per photo, over all threads")
    for name, row in report["sizes"].items():
        table.add_row(name, *[str(row["cpu_ms"][path]) for path in TITLES])
    console.print(table)
    for path, title in TITLES.items():
        console.print(f"{path:3} {title}")
    stages = Table("stage", "ms per photo", title="(b) by stage, added up over lanes and threads")
    for stage, ms in report["stage_ms"].items():
        stages.add_row(stage, f"{ms:.1f}")
    console.print(stages)


def draw(report: Mapping[str, Any], file: Path) -> None:
    """Draw photos per second by size, and milliseconds by stage."""
    from facetag_trainer.reports.figures import new_figure

    figure = new_figure(10, 4)
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    names = list(report["sizes"])
    for index, path in enumerate(TITLES):
        rates = [report["sizes"][name]["photos_per_s"][path] for name in names]
        places = [place + (index - 1.5) * 0.2 for place in range(len(names))]
        bars = left.bar(places, rates, 0.2, label=TITLES[path])
        left.bar_label(bars, fmt="%.1f", fontsize=7)
    left.set_xticks(range(len(names)), names)
    left.set_ylabel("photos per second")
    left.margins(y=0.25)
    left.legend(fontsize=7, ncols=2, loc="upper center")
    right.barh(list(report["stage_ms"]), list(report["stage_ms"].values()))
    right.invert_yaxis()
    right.set_xlabel("(b): ms per photo, by stage")
    figure.suptitle(in_words(report["machine"]), fontsize=9)
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    main()
