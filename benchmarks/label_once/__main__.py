"""Label a folder, kill the command halfway, come back to it grown: what is computed how often?

    python -m benchmarks.label_once
    python -m benchmarks.label_once --photos 200

Writes small distinct photos, labels them by `facetag tag`, and kills that command with SIGKILL
once a quarter is labelled. The same command again must compute no photo twice. Then 20 photos are
added, one is changed and one deleted: the next run must label 21. A folder of 21 new photos is
timed beside it. What was computed is counted in Postgres. The program fails if a count is wrong.
"""

import click

from benchmarks.harness.machine import describe_machine, in_words
from benchmarks.label_once.collector import known_and_left, open_collector, write_small_photos

ADDED = 20


@click.command(help=__doc__)
@click.option("--photos", default=2000, show_default=True, help="Number of photos at first.")
def main(photos: int) -> None:
    """Play the person who comes back, and print a verdict for each step."""
    click.echo(in_words(describe_machine()))
    missed = []

    def judge(what: str, found: object, wanted: object) -> None:
        holds = found == wanted
        click.echo(f"{'HOLDS' if holds else 'DOES NOT HOLD'}  {what}: {found}, wanted {wanted}")
        if not holds:
            missed.append(what)

    with open_collector() as (collector, place):
        folder = place / "photos"
        write_small_photos(folder, range(photos))
        collector.tag_and_be_killed(folder, photos // 4)
        seconds, _ = collector.tag(folder)
        click.echo(f"killed halfway; the same command again took {seconds:.1f} s")
        judge("computed, of so many contents", collector.count(), (photos, photos))

        write_small_photos(folder, range(photos, photos + ADDED))
        write_small_photos(place / "changed", range(photos + ADDED, photos + ADDED + 1))
        (place / "changed" / f"{photos + ADDED:05}.png").replace(folder / "00001.png")
        (folder / "00002.png").unlink()
        seconds, said = collector.tag(folder)
        judge("known, and to label", known_and_left(said), (photos - 2, ADDED + 1))
        judge("computed, of so many contents", collector.count(), (photos + ADDED + 1,) * 2)

        write_small_photos(place / "new", range(photos + 100, photos + 100 + ADDED + 1))
        alone, _ = collector.tag(place / "new")
        click.echo(f"the grown folder took {seconds:.1f} s, {ADDED + 1} new photos {alone:.1f} s")
    if missed:
        raise click.ClickException(f"Not as it should be: {', '.join(missed)}.")


if __name__ == "__main__":
    main()
