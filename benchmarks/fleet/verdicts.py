"""Say of each figure whether its bound holds."""

import click


class Verdicts:
    """Print figures with their bounds, and remember those that do not hold."""

    def __init__(self) -> None:
        self.broken: list[str] = []

    def say(self, figure: str, bound: str, *, holds: bool) -> None:
        """Print a figure, its bound and whether it holds."""
        click.echo(f"{'HOLDS' if holds else 'DOES NOT HOLD'}: {figure} (bound: {bound})")
        if not holds:
            self.broken.append(figure)

    def end(self) -> None:
        """Raise ClickException if a bound did not hold."""
        if self.broken:
            raise click.ClickException(f"{len(self.broken)} of the bounds do not hold.")
