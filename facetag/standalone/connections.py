"""Give a command the database and object storage of the settings, or start or join local ones."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from facetag.db.engine import migrate
from facetag.errors import DataFolderBusy, QueueUnavailable
from facetag.settings import Settings
from facetag.standalone.announcements import find_servers
from facetag.standalone.credentials import load_credentials
from facetag.standalone.folder_owner import require_own
from facetag.standalone.processes.environment import forget_database_variables
from facetag.storage.client import make_storage

# A machine that uses servers elsewhere need not have the packages that run them here: they are
# imported in the functions.

OnEvent = Callable[[str], None]
"""Takes one line that tells a person what happens."""

_PORT_LINE = 3
"""Line of postmaster.pid with the port, counted from 0."""


@contextmanager
def use_servers(settings: Settings, *, on_event: OnEvent) -> Iterator[Settings]:
    """Yield settings that lead to a database with tables and to object storage with a bucket.

    If FACETAG_DATABASE_URL is set, the settings stay as they are: `facetag migrate` has prepared
    both. Otherwise the servers of the data folder are used, or started for as long as the body
    runs. Raises DataFolderBusy if another facetag runs only some of them.
    """
    if settings.database_url:
        yield settings
        return
    from facetag.standalone.servers.valkey import Valkey
    from facetag.standalone.service_users import mark_use
    from facetag.standalone.stack import LocalStack

    stack = LocalStack(settings, without=[Valkey], on_event=on_event)
    try:
        stack.start()
    except DataFolderBusy:
        found = find_servers(stack.folders.run)
        if found is None:
            raise
        # A service that lingers must not end meanwhile.
        with mark_use(stack.folders.run):
            yield Settings.model_validate(settings.model_dump() | found)
        return
    try:
        connected = stack.connected_settings()
        migrate(connected.require("database_url"))
        make_storage(connected).ensure_bucket()
        yield connected
    finally:
        stack.stop()


@contextmanager
def use_database(settings: Settings, *, on_event: OnEvent = lambda _line: None) -> Iterator[str]:
    """Yield the URL of the database that is set, or of the data folder's PostgreSQL.

    The folder's server is started for as long as the body runs, or joined if another facetag runs
    it. Raises DataFolderBusy if the other facetag runs no PostgreSQL.
    """
    if settings.database_url:
        yield settings.require("database_url")
        return
    from facetag.standalone.servers.seaweedfs import SeaweedFS
    from facetag.standalone.servers.valkey import Valkey
    from facetag.standalone.service_users import mark_use
    from facetag.standalone.stack import LocalStack

    stack = LocalStack(settings, without=[SeaweedFS, Valkey], on_event=on_event)
    try:
        stack.start()
    except DataFolderBusy:
        running = find_database(stack.folders.data_dir)
        if running is None:
            raise
        on_event(f"Using the PostgreSQL that another facetag runs on {stack.folders.data_dir}")
        with mark_use(stack.folders.run):
            yield running
        return
    try:
        yield stack.environment()["FACETAG_DATABASE_URL"]
    finally:
        stack.stop()


def find_database(data_dir: Path) -> str | None:
    """Return the URL of the PostgreSQL that runs on a data folder; None if none runs."""
    from facetag.standalone.servers.postgres import service_url

    with suppress(OSError, IndexError, ValueError):
        notice = (data_dir / "postgresql" / "postmaster.pid").read_text(encoding="utf-8")
        port = int(notice.splitlines()[_PORT_LINE])
        return service_url(load_credentials(data_dir / "credentials.json"), port)
    return None


def find_service_settings(settings: Settings) -> Settings:
    """Return settings that lead to the servers of a running service.

    They are those that are set, or those of a `facetag up` on the data folder. Nothing is started;
    raises QueueUnavailable if no service runs, and LocalServerFailed as `require_own` does.
    """
    if settings.database_url:
        return settings
    from facetag.standalone.servers.local_server import Folders

    forget_database_variables(settings)
    folders = Folders(settings.data_dir.expanduser().absolute())
    found = find_servers(folders.run)
    if found is None or "redis_url" not in found:
        require_own(folders.data_dir)
        raise QueueUnavailable(
            f"No service runs on {settings.data_dir} to take the retraining from the queue: start "
            "one with `facetag up --trainer`, or set FACETAG_DATABASE_URL, FACETAG_REDIS_URL and "
            "FACETAG_S3_ENDPOINT_URL to where one runs."
        )
    return Settings.model_validate(settings.model_dump() | found)
