"""Look at the servers: those that the settings name, those of the data folder, and their ports."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from facetag.errors import FacetagError, LocalServerFailed
from facetag.settings import Settings
from facetag.standalone.announcements import answers, find_running, find_servers
from facetag.standalone.folder_owner import require_own
from facetag.standalone.servers.local_server import Folders
from facetag.standalone.servers.ports import is_free
from facetag_cli.diagnosis.diagnosis_report import Finding, mask_url


def look_at_servers(settings: Settings) -> Iterator[Finding]:
    """Yield each server: whether it answers, or whether its program is here to be started."""
    from facetag.standalone.servers.binaries import find_postgres, find_seaweedfs, find_valkey

    for title, url, ping, find in (
        ("PostgreSQL", settings.database_url, _ping_database, find_postgres),
        ("Redis or Valkey", settings.redis_url, _ping_redis, find_valkey),
        ("object storage", settings.s3_endpoint_url, _ping_storage, find_seaweedfs),
    ):
        yield _look_at(title, partial(ping, settings) if url else None, find)


def look_at_service(settings: Settings) -> Iterator[Finding]:
    """Yield the service that commands would use, its parts and its ports."""
    if settings.api_url:
        fault = None
        if not answers(settings.api_url):
            fault = "nothing answers there: start the service, or unset FACETAG_API_URL."
        yield Finding("service", settings.api_url, fault)
    else:
        running = find_running(settings.data_dir)
        yield _look_for_service(settings) if running is None else Finding("service", running)
        if running is None:
            free = is_free(settings.api_port)
            text = f"{settings.api_port} is {'free' if free else 'taken'}"
            # `facetag up` takes another port by itself.
            yield Finding("port of the API", text)
    found = find_servers(Folders(settings.data_dir.absolute()).run) or {}
    for name in sorted(found):
        if name.endswith("_url"):
            yield Finding(f"  {name}", mask_url(found[name]))


def _look_for_service(settings: Settings) -> Finding:
    """Return that no service runs, or why nobody can know."""
    try:
        require_own(settings.data_dir)
    except LocalServerFailed as error:
        return Finding("service", f"unknown on {settings.data_dir}", str(error))
    return Finding("service", f"none runs on {settings.data_dir}")


def _look_at(title: str, ping: Callable[[], str] | None, find: Callable[[], Path]) -> Finding:
    try:
        if ping is not None:
            return Finding(title, ping())
        return Finding(title, f"is started when needed: {find()}")
    except FacetagError as error:
        said = "does not answer" if ping is not None else "is not installed"
        return Finding(title, said, str(error))


def _ping_database(settings: Settings) -> str:
    from facetag.db.engine import make_engine, ping
    from facetag.queue.consumer import check_database

    engine = make_engine(settings, pool_size=1)
    try:
        ping(engine)
    finally:
        engine.dispose()
    check_database(settings)
    return "answers, and has facetag's tables"


def _ping_redis(settings: Settings) -> str:
    from facetag.queue.celery_app import ping_queue

    ping_queue(settings)
    return "answers"


def _ping_storage(settings: Settings) -> str:
    from facetag.storage.client import make_storage

    make_storage(settings).ping()
    return f"answers, and has the bucket {settings.s3_bucket}"
