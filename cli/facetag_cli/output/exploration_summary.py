"""Print an exploration as text and tables."""

from typing import TextIO

from rich.table import Table

from facetag_cli.output.results_table import console_for
from facetag_trainer.exploration.exploration_tables import (
    TITLES,
    CrossTable,
    age_rows,
    cross_tables,
    group_rows,
)
from facetag_trainer.exploration.shard_exploration import BY, Exploration


def print_exploration(found: Exploration, file: TextIO) -> None:
    """Print dropped images and missing labels, then ages, groups and combinations as tables."""
    console = console_for(file)
    console.print(f"Images read: {found.read:,}; usable: {found.kept:,}.")
    for kind, count in found.dropped.items():
        console.print(f"  dropped, {kind}: {count:,}", markup=False)
    for head, count in found.missing.items():
        if count:
            console.print(f"  kept, without a label of {head}: {count:,}")
    alike = found.look_alikes
    console.print(
        f"Groups of look-alikes: {alike.groups:,}, with {alike.images:,} images, "
        f"at most {alike.largest:,} in one."
    )
    if found.ages is not None:
        ages = ", ".join(
            f"{name} {'–' if value is None else format(value, '.1f')}"
            for name, value in age_rows(found)
        )
        console.print(f"Apparent age of {found.ages.n:,}, in years: {ages}.", soft_wrap=True)
    for head in BY:
        console.print("", _groups(found, head), sep="\n")
    for table in cross_tables(found):
        console.print("", _crossing(table), sep="\n")


def _groups(found: Exploration, head: str) -> Table:
    grid = _grid(TITLES[(head,)])
    for heading in ("images", "share"):
        grid.add_column(heading, justify="right")
    for name, count, share in group_rows(found, head):
        grid.add_row(name, f"{count:,}", f"{share:.1%}")
    return grid


def _crossing(table: CrossTable) -> Table:
    grid = _grid(table.title)
    for heading in (*table.columns, "all"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for name, counts in table.rows:
        grid.add_row(name, *(f"{count:,}" for count in counts), f"{sum(counts):,}")
    grid.add_row("all", *(f"{count:,}" for count in table.totals), f"{sum(table.totals):,}")
    return grid


def _grid(title: str) -> Table:
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    grid.add_column(title, no_wrap=True)
    return grid
