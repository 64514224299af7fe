"""Show who is in training shards, and which images cannot be used."""

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from facetag_cli.params.options import format_option
from facetag_cli.params.shard_argument import ShardArgument, take_shards

if TYPE_CHECKING:
    from facetag_cli.reporter import Bar, Reporter
    from facetag_trainer.data.shard_sources import ShardSource
    from facetag_trainer.exploration.shard_exploration import Watch


@click.command()
@click.argument("shards", nargs=-1, required=True, type=ShardArgument())
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="DIR|FILE.html",
    help="Write a page with plots that opens offline. A folder also gets the data as JSON.",
)
@format_option
def explore(shards: "tuple[ShardSource, ...]", report: Path | None, form: str) -> None:
    """Show who is in training SHARDS, by apparent age, gender and race.

    A shard is a .tar, a path or s3://BUCKET/KEY, of images named AGE_GENDER_RACE_*.jpg (the UTKFace
    way) or of KEY.jpg + KEY.json pairs. Images that `train` would drop are counted and named:
    malformed names, labels missing or out of range, undecodable images, identical images. Images
    with some labels missing are kept. Labels are apparent age, gender and race, as the people who
    labelled the images saw them. They are not facts about persons.

    \b
    Examples:
      facetag explore part-1.tar part-2.tar --report explored
      facetag explore part-1.tar --format json
    """
    from facetag.settings import load_settings
    from facetag_cli.reporter import Reporter
    from facetag_trainer.exploration.exploration_report import write_exploration
    from facetag_trainer.exploration.exploration_tables import to_json
    from facetag_trainer.exploration.shard_exploration import explore_shards

    reporter = Reporter()
    settings = load_settings()
    paths = take_shards(shards, settings)
    facts = _describe(paths)
    with _Phases(reporter) as show:
        found = explore_shards(paths, settings, on_progress=show)
    if report is not None:
        reporter.say(f"{write_exploration(report, found, facts)}")
    if form == "json":
        click.echo(json.dumps({**facts, **to_json(found)}, indent=2))
    else:
        from facetag_cli.output.exploration_summary import print_exploration

        print_exploration(found, sys.stdout)


def _describe(shards: tuple[Path, ...]) -> dict[str, Any]:
    """Return what is explored and when; file names without their folders."""
    from datetime import UTC, datetime

    from facetag_trainer.data.shards import shard_digest

    return {
        "command": f"facetag explore {' '.join(path.name for path in shards)}",
        "date": datetime.now(UTC).date().isoformat(),
        "shards": [{"name": path.name, "sha256": shard_digest(path)} for path in shards],
    }


class _Phases:
    """Show the progress of each phase, one bar after another; a context manager."""

    def __init__(self, reporter: "Reporter") -> None:
        self._reporter = reporter
        self._open = ExitStack()
        self._phase = ""
        self._bar: Bar | None = None

    def __enter__(self) -> "Watch":
        return self._show

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _show(self, phase: str, done: int, total: int | None) -> None:
        if phase != self._phase or self._bar is None:
            self._open.close()
            self._phase = phase
            bar = self._reporter.bar(phase, total=total, unit="images")
            self._bar = self._open.enter_context(bar)
        self._bar.set(done)
