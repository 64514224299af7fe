"""Choose the service that a command uses: a given one, a running one, or one of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from facetag.client.api_client import Service
from facetag.client.service_lookup import find_service
from facetag.errors import ApiUnavailable
from facetag.settings import Settings, load_settings
from facetag_cli.output.reporter import Reporter


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
        yield running
        return
    from facetag_cli.client.local_service import LocalService

    reporter.say(f"Starting a service for this run; its data is in {settings.data_dir}.")
    with LocalService(settings, on_event=reporter.say) as local:
        yield Service(local.api_url, local.key, own=True)


def require_service(settings: Settings) -> Service:
    """Return a running service; raise ApiUnavailable if there is none."""
    service = find_service(settings)
    if service is None:
        raise ApiUnavailable(
            f"No service runs on {settings.data_dir}. Start one with `facetag up`, or set "
            "FACETAG_API_URL to the address of a running service."
        )
    return service
