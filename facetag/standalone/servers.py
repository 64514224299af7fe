"""A database and object storage for a command that needs both: those that are set, or local."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from facetag.db.engine import migrate
from facetag.errors import DataFolderBusy, QueueUnavailable
from facetag.settings import Settings
from facetag.storage.client import make_storage


@contextmanager
def use_servers(settings: Settings, *, on_event: Callable[[str], None]) -> Iterator[Settings]:
    """Yield settings that lead to a database with tables and to object storage with a bucket.

    Where FACETAG_DATABASE_URL is set they are as given: `facetag migrate` has prepared both. Else
    the servers of the data folder are used, or started for as long as the body runs. Raises
    DataFolderBusy where another facetag runs only some of them.
    """
    if settings.database_url:
        yield settings
        return
    # Whoever sets the servers need not have what runs them here.
    from facetag.standalone.announcements import find_servers
    from facetag.standalone.stack import LocalStack
    from facetag.standalone.valkey import Valkey

    stack = LocalStack(settings, without=[Valkey], on_event=on_event)
    try:
        stack.start()
    except DataFolderBusy:
        found = find_servers(stack.folders.run)
        if found is None:
            raise
        yield Settings.model_validate(settings.model_dump() | found)
        return
    try:
        connected = stack.connected_settings()
        migrate(connected.require("database_url"))
        make_storage(connected).ensure_bucket()
        yield connected
    finally:
        stack.stop()


def find_service_settings(settings: Settings) -> Settings:
    """Return settings that lead to the servers of a service that runs.

    Those that are set, else those of a `facetag up` on the data folder; raises QueueUnavailable
    where there is none, and starts nothing.
    """
    if settings.database_url:
        return settings
    from facetag.standalone.announcements import find_servers
    from facetag.standalone.local_server import Folders

    folders = Folders(settings.data_dir.expanduser().absolute())
    found = find_servers(folders.run)
    if found is None or "redis_url" not in found:
        raise QueueUnavailable(
            f"No service runs on {settings.data_dir}, so nobody would take it from the queue: "
            "start one with `facetag up --trainer`, or set FACETAG_DATABASE_URL, FACETAG_REDIS_URL "
            "and FACETAG_S3_ENDPOINT_URL to where one runs."
        )
    return Settings.model_validate(settings.model_dump() | found)
