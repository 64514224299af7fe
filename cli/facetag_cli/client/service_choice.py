"""Choose the service that a command uses: a given one, a running one, or one of its own."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from facetag.client.api_client import Service
from facetag.client.service_lookup import find_service
from facetag.errors import ApiUnavailable
from facetag.extras import require_packages
from facetag.settings import Settings, load_settings
from facetag_cli.reporter import Reporter


def read_settings(data_dir: Path | None, *, min_face: float | None = None) -> Settings:
    """Read the settings; options of the command line override the environment."""
    said: dict[str, Any] = {}
    if data_dir is not None:
        said["data_dir"] = data_dir.expanduser().absolute()
    if min_face is not None:
        said["min_face"] = min_face
    return load_settings().model_copy(update=said)


@contextmanager
def use_service(settings: Settings, reporter: Reporter, *, stays: bool = True) -> Iterator[Service]:
    """Find a service, or start one.

    One that is started lingers for the next commands, if it `stays` and FACETAG_LINGER_S is not 0;
    otherwise it ends with the body of the `with` statement.
    """
    if settings.api_url:
        yield require_service(settings)
        return
    from facetag.standalone.servers.local_server import Folders
    from facetag.standalone.service_users import mark_use

    # Marked before it is looked for, so that a service that is found does not end.
    with mark_use(Folders(settings.data_dir).run):
        _replace_outdated(settings)
        running = find_service(settings)
        if running is not None:
            yield running
            return
        require_packages("fastapi", "openvino", "tensorflow")
        reporter.say(f"Starting a service; its data is in {settings.data_dir}.")
        with ExitStack() as stack:
            with reporter.explain_stop("Stopped while the service was starting: nothing was sent."):
                service = _start(settings, reporter, stack, stays=stays)
            yield service


def _start(settings: Settings, reporter: Reporter, stack: ExitStack, *, stays: bool) -> Service:
    """Start a service that lingers, or one that ends with the stack."""
    if stays and settings.linger_s:
        from facetag_cli.client.lingering_service import start_service

        start_service(settings)
        return require_service(settings)
    from facetag_cli.client.local_service import LocalService

    local = stack.enter_context(LocalService(settings, on_event=reporter.say))
    return Service(local.api_url, local.key, own=True)


def say_lingering(service: Service, settings: Settings, reporter: Reporter) -> None:
    """Print how long a service stays that a command started."""
    if service.lingers:
        reporter.say(
            f"The service stays up until nobody has used it for {settings.linger_s:.0f} s; "
            "`facetag down` ends it."
        )


def _replace_outdated(settings: Settings) -> None:
    """End a service that lingers with other settings or code than ours."""
    from facetag.standalone.announcements import find_announced

    announced = find_announced(settings.data_dir)
    if announced is None or announced.lingers_for is None:
        return
    from facetag_cli.client.lingering_service import replace_unused, settings_digest

    if announced.lingers_for != settings_digest(settings):
        replace_unused(announced, settings.data_dir)


def find_fixed_service(settings: Settings) -> Service | None:
    """Return the service that a command must take as it is; one that lingers can be replaced."""
    service = find_service(settings)
    return None if service is not None and service.lingers else service


def require_service(settings: Settings) -> Service:
    """Return a running service; raise ApiUnavailable if there is none."""
    service = find_service(settings)
    if service is None:
        raise ApiUnavailable(
            f"No service runs on {settings.data_dir}. Start one with `facetag up`, or set "
            "FACETAG_API_URL to the address of a running service."
        )
    return service
