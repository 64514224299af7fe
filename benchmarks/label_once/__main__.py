"""Label a folder, kill the command halfway, come back to it grown: what is computed how often?

    python -m benchmarks.label_once
    python -m benchmarks.label_once --photos 200

Writes small photos that do not look alike, labels them by `facetag tag`, and kills that command
with SIGKILL once a quarter is labelled. The same command again must compute no photo twice. Then,
in each round, 20 photos are added, one is changed and one deleted: the next run must label 21, of
0.3 to 12 megapixels. It must be as quick as a folder of 21 such photos beside it and the hashing of
those that are new or changed: within a tenth, by the medians of the rounds. What was computed is
counted in Postgres. The program fails if a step is not as it should be.
"""

from pathlib import Path
from statistics import median

import click

from benchmarks.harness.machine import describe_machine, in_words
from benchmarks.label_once.collector import (
    Collector,
    hashing_s,
    known_and_left,
    open_collector,
    write_small_photos,
    write_usual_photos,
)

ADDED = 20
NEW = ADDED + 1
"""Photos to label in a round: those that were added, and the one that was changed."""
AS_QUICK = 1.1
"""Ratio of times that counts as equal: rounds differ by as much, and a folder is to be listed."""


@click.command(help=__doc__)
@click.option("--photos", default=2000, show_default=True, help="Number of photos at first.")
@click.option("--rounds", default=11, show_default=True, help="How often the folder grows.")
def main(photos: int, rounds: int) -> None:
    """Play the person who comes back, and print a verdict for each step."""
    click.echo(in_words(describe_machine()))
    missed = []

    def judge(what: str, said: str, *, holds: bool) -> None:
        click.echo(f"{'HOLDS' if holds else 'DOES NOT HOLD'}  {what}: {said}")
        if not holds:
            missed.append(what)

    def judge_equal(what: str, found: object, wanted: object) -> None:
        judge(what, f"{found}, wanted {wanted}", holds=found == wanted)

    with open_collector() as (collector, place):
        folder = place / "photos"
        write_small_photos(folder, range(photos))
        collector.tag_and_be_killed(folder, photos // 4)
        seconds, _ = collector.tag(folder)
        click.echo(f"killed halfway; the same command again took {seconds:.1f} s")
        judge_equal("computed, of so many contents", collector.count(), (photos, photos))

        times: list[tuple[float, float, float]] = []
        for round_ in range(rounds):
            first = photos + 2 * NEW * round_
            hashing = grow(folder, first)
            grown, said = collector.tag(folder)
            left = photos + (ADDED - 1) * (round_ + 1)
            judge_equal("known, and to label", known_and_left(said), (left - NEW, NEW))
            times.append((grown, alone(collector, place / f"new-{round_}", first + NEW), hashing))
        judge_equal(
            "computed, of so many contents", collector.count(), (photos + 2 * NEW * rounds,) * 2
        )
        grown, by_itself, hashing = (median(column) for column in zip(*times, strict=True))
        judge(
            "the grown folder is as quick as its new photos",
            f"{grown:.2f} s; {NEW} new photos alone {by_itself:.2f} s, and hashing {hashing:.3f} s",
            holds=grown <= AS_QUICK * (by_itself + hashing),
        )
        each_ms = 1000 * (grown - by_itself - hashing) / (left - NEW)
        click.echo(
            f"that is {grown / (by_itself + hashing):.2f} times the new photos and the hashing; "
            f"a known photo costs {each_ms:.2f} ms: it is found, copied and written"
        )
    if missed:
        raise click.ClickException(f"Not as it should be: {', '.join(missed)}.")


def grow(folder: Path, first: int) -> float:
    """Add photos, change one and delete one; return the seconds that hashing the new ones takes."""
    _, changed, deleted = sorted(folder.iterdir())[:3]
    write_usual_photos(folder, range(first, first + NEW))
    *added, last = sorted(folder.iterdir())[-NEW:]
    last.replace(changed)
    deleted.unlink()
    return hashing_s([*added, changed])


def alone(collector: Collector, folder: Path, first: int) -> float:
    """Return the seconds that as many new photos take in a folder of their own."""
    write_usual_photos(folder, range(first, first + NEW))
    return collector.tag(folder)[0]


if __name__ == "__main__":
    main()
