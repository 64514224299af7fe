"""Choose the service that a command uses: a given one, a running one, or one of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facetag.errors import ApiUnavailable
from facetag.settings import Settings, load_settings
from facetag_cli.output.reporter import Reporter


@dataclass(frozen=True, slots=True)
class Service:
    """The URL of an API; `own` says that this command started the service and will stop it."""

    api_url: str
    own: bool


def read_settings(data_dir: Path | None, *, min_face: float | None = None) -> Settings:
    """Read the settings; options of the command line override the environment."""
    said: dict[str, Any] = {}
    if data_dir is not None:
        said["data_dir"] = data_dir.expanduser().absolute()
    if min_face is not None:
        said["min_face"] = min_face
    return load_settings().model_copy(update=said)


@contextmanager
def use_service(settings: Settings, reporter: Reporter) -> Iterator[Service]:
    """Find a service, or run one during the body of the `with` statement."""
    running = find_service(settings)
    if running is not None:
        yield Service(running, own=False)
        return
    from facetag_cli.client.local_service import LocalService

    reporter.say(f"Starting a service for this run; its data is in {settings.data_dir}.")
    with LocalService(settings, on_event=reporter.say) as local:
        yield Service(local.api_url, own=True)


def require_service(settings: Settings) -> str:
    """Return the URL of a running service; raise ApiUnavailable if there is none."""
    api_url = find_service(settings)
    if api_url is None:
        raise ApiUnavailable(
            f"No service runs on {settings.data_dir}. Start one with `facetag up`, or set "
            "FACETAG_API_URL to the address of a running service."
        )
    return api_url


def find_service(settings: Settings) -> str | None:
    """Return FACETAG_API_URL, else the URL of a `facetag up` on the data folder, else None."""
    if settings.api_url:
        return settings.api_url
    from facetag.standalone.announcements import find_running

    return find_running(settings.data_dir)
