"""A PostgreSQL for a command that needs nothing else: the data folder's own, started or joined."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from facetag.errors import DataFolderBusy
from facetag.settings import Settings
from facetag.standalone.credentials import load_credentials
from facetag.standalone.ports import LOOPBACK
from facetag.standalone.postgres import DATABASE, USER
from facetag.standalone.seaweedfs import SeaweedFS
from facetag.standalone.stack import LocalStack, OnEvent, ignore_event
from facetag.standalone.valkey import Valkey

_PORT_LINE = 3
"""Of postmaster.pid, counted from 0."""


@contextmanager
def use_database(settings: Settings, *, on_event: OnEvent = ignore_event) -> Iterator[str]:
    """Yield the URL that is set, else one of the data folder's PostgreSQL.

    The folder's server runs as long as the body, or, where another facetag runs it already, as long
    as that does. Raises DataFolderBusy where the other one runs no PostgreSQL.
    """
    if settings.database_url:
        yield settings.require("database_url")
        return
    stack = LocalStack(settings, without=[SeaweedFS, Valkey], on_event=on_event)
    try:
        stack.start()
    except DataFolderBusy:
        running = find_database(stack.folders.data_dir)
        if running is None:
            raise
        on_event(f"Using the PostgreSQL that another facetag runs on {stack.folders.data_dir}")
        yield running
        return
    try:
        yield stack.environment()["FACETAG_DATABASE_URL"]
    finally:
        stack.stop()


def find_database(data_dir: Path) -> str | None:
    """Return the URL of the PostgreSQL that runs on a data folder; None where none does."""
    with suppress(OSError, IndexError, ValueError):
        notice = (data_dir / "postgresql" / "postmaster.pid").read_text(encoding="utf-8")
        port = int(notice.splitlines()[_PORT_LINE])
        password = load_credentials(data_dir / "credentials.json").database_password
        return f"postgresql+psycopg://{USER}:{password}@{LOOPBACK}:{port}/{DATABASE}"
    return None
