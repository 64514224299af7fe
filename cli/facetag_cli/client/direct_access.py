"""Opens a service's database and object storage directly, for commands that do not use the API."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from facetag.bundles.bundle_store import Shelf
from facetag.standalone.connections import use_servers
from facetag_cli.client.service_choice import read_settings
from facetag_cli.output.reporter import Reporter


@contextmanager
def open_shelf(data_dir: Path | None) -> Iterator[Shelf]:
    """Open the service that the settings name, or the one whose data lies in `data_dir`."""
    with (
        use_servers(read_settings(data_dir), on_event=Reporter().say) as settings,
        closing(Shelf(settings)) as shelf,
    ):
        yield shelf
