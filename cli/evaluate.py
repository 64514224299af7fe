"""`facetag evaluate`: print a bundle's Table 1 on labelled shards."""

import json
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("shards", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--model",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of the bundle; the one that ships if not given.",
)
@click.option(
    "--crop",
    type=click.Choice(["detector", "bare"]),
    default="detector",
    show_default=True,
    help="`bare` skips the detector and takes each image whole.",
)
@click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True
)
@click.option(
    "--card",
    is_flag=True,
    help="Write the figures into the bundle's manifest and card as its test figures.",
)
def evaluate(
    shards: tuple[Path, ...], model: Path | None, crop: str, form: str, card: bool
) -> None:
    """Measure a network on labelled SHARDS: the paper's Table 1.

    Every image goes through detector and crop as in the service; where no face is found the whole
    image is used. `n` counts every validly labelled image, and nothing else is dropped.

    \b
    Example:
      facetag evaluate test.tar --format json
    """
    from facetag.settings import load_settings
    from trainer.evaluating import evaluate_bundle
    from vision.bundle import open_bundle

    if card and crop == "bare":
        raise click.UsageError(
            "--card records figures of the service's own way: leave --crop bare."
        )
    settings = load_settings()
    bundle = open_bundle(model or settings.bundle)
    done = 0

    def on_progress(count: int) -> None:
        nonlocal done
        done += count
        click.echo(f"\r{done} images", nl=False, err=True)

    result = evaluate_bundle(bundle, shards, settings, bare=crop == "bare", on_progress=on_progress)
    click.echo(err=True)
    table = result.table()
    if card:
        _record(bundle, shards, table)
    click.echo(json.dumps(table, indent=2) if form == "json" else _render(bundle.version, table))
    if form == "table":
        click.echo(
            f"{table['n']} images; no face found in {result.faceless}; "
            f"{result.invalid} without a valid label do not count."
        )


def _record(bundle: Any, shards: tuple[Path, ...], table: dict[str, Any]) -> None:
    import platform
    from datetime import UTC, datetime

    from trainer.card import write_card
    from vision.bundle import CARD, save_manifest

    measured = {
        "command": f"facetag evaluate {' '.join(path.name for path in shards)}",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, CPU",
        "table": table,
    }
    metrics = {**bundle.manifest["metrics"], "test": measured}
    manifest = {**bundle.manifest, "metrics": metrics}
    save_manifest(bundle.folder, manifest)
    (bundle.folder / CARD).write_text(write_card(manifest))


def _render(version: str, table: dict[str, Any]) -> str:
    from rich.console import Console
    from rich.table import Table

    from trainer.card import MEASURES, PAPER

    grid = Table("head", "measure", version, "paper", title="Table 1")
    for head in ("age", "gender", "race"):
        for name, value in table.get(head, {}).items():
            paper = PAPER[head].get(name)
            grid.add_row(
                head, MEASURES[name], *("–" if x is None else f"{x:.4f}" for x in (value, paper))
            )
    console = Console()
    with console.capture() as capture:
        console.print(grid)
    return capture.get().rstrip()
