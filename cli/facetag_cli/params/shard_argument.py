"""Shards as arguments: paths or s3:// URLs, the latter fetched before a command uses them."""

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from facetag.settings import Settings
    from facetag.storage.client import Storage
    from facetag_trainer.data.shard_sources import ShardSource, StoredShard

MB = 1_000_000


class ShardArgument(click.Path):
    """A path, or an s3:// URL, in which a path would lose a slash."""

    name = "shard"

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return where the shard is, a ShardSource; fails for a URL that names no object."""
        from facetag_trainer.data.shard_sources import parse_source

        try:
            source = parse_source(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if isinstance(source, Path) and source.is_dir():
            self.fail(
                f"{source} is a folder: `facetag shard {quote(str(source))}` makes shards of the "
                "labelled images in it. A folder without labels goes to `facetag tag`.",
                param,
                ctx,
            )
        return source


def take_shards(
    sources: "Sequence[ShardSource]", settings: "Settings", *, quiet: bool = False
) -> tuple[Path, ...]:
    """Return the shards as local files, in order; those in object storage are downloaded first.

    Raises SettingsInvalid, and what `shard_sources.download_shard` raises. No client is made where
    all shards are paths.
    """
    from facetag.storage.client import make_storage

    if all(isinstance(source, Path) for source in sources):
        return tuple(source for source in sources if isinstance(source, Path))
    storage = make_storage(settings)
    return tuple(
        source if isinstance(source, Path) else _fetch(source, storage, quiet=quiet)
        for source in sources
    )


def _fetch(shard: "StoredShard", storage: "Storage", *, quiet: bool) -> Path:
    from facetag.cache_folder import cache_folder
    from facetag_cli.reporter import Reporter
    from facetag_trainer.data.shard_sources import download_shard

    with Reporter(quiet=quiet).bar(f"Downloading {shard.name}", total=None, unit="MB") as bar:

        def show(done: int, total: int) -> None:
            bar.set(done // MB, total=-(-total // MB))

        return download_shard(shard, storage, cache_folder() / "shards", on_progress=show)
