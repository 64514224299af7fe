"""Open a service's database and object storage directly, for commands that do not use the API."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy.orm import Session

from facetag.bundles.bundle_store import Shelf
from facetag.db.engine import make_engine, make_sessions, migrate, transaction
from facetag.settings import Settings
from facetag.standalone.connections import use_database, use_servers
from facetag_cli.client.service_choice import read_settings
from facetag_cli.reporter import Reporter


@contextmanager
def open_shelf(data_dir: Path | None) -> Iterator[Shelf]:
    """Open the service that the settings name, or the one whose data lies in `data_dir`."""
    with (
        use_servers(read_settings(data_dir), on_event=Reporter().say) as settings,
        closing(Shelf(settings)) as shelf,
    ):
        yield shelf


@contextmanager
def open_database(settings: Settings) -> Iterator[Session]:
    """Open a transaction in the service's database; a data folder's own tables are made first."""
    with use_database(settings, on_event=Reporter().say) as url:
        if not settings.database_url:
            migrate(url)
        engine = make_engine(
            settings.model_copy(update={"database_url": SecretStr(url)}), pool_size=1
        )
        try:
            with transaction(make_sessions(engine)) as session:
                yield session
        finally:
            engine.dispose()
