"""Open a service's database and object storage directly, for commands that do not use the API."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy.orm import Session

from facetag.bundles.bundle_store import Shelf
from facetag.db.engine import make_engine, make_sessions, migrate, transaction
from facetag.settings import Settings
from facetag.standalone.connections import use_database, use_servers
from facetag_cli.client.service_choice import read_settings
from facetag_cli.reporter import STOPPED_AT_START, Reporter


@contextmanager
def open_shelf(data_dir: Path | None) -> Iterator[Shelf]:
    """Open the service that the settings name, or the one whose data lies in `data_dir`."""
    reporter = Reporter()
    with ExitStack() as stack:
        with reporter.explain_stop(STOPPED_AT_START):
            settings = stack.enter_context(
                use_servers(read_settings(data_dir), on_event=reporter.say)
            )
        yield stack.enter_context(closing(Shelf(settings)))


@contextmanager
def open_database(settings: Settings) -> Iterator[Session]:
    """Open a transaction in the service's database; a data folder's own tables are made first."""
    reporter = Reporter()
    with ExitStack() as stack:
        with reporter.explain_stop(STOPPED_AT_START):
            url = stack.enter_context(use_database(settings, on_event=reporter.say))
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
