"""Find the service that the settings name, or that runs on this machine."""

from facetag.client.api_client import Service
from facetag.loopback import is_loopback
from facetag.settings import Settings


def find_service(settings: Settings) -> Service | None:
    """Return the service at FACETAG_API_URL, else a `facetag up` on the data folder, else None.

    The data folder's key is sent to the folder's own service alone.
    """
    from facetag.standalone.announcements import find_running
    from facetag.standalone.local_key import read_local_key

    given = None if settings.api_key is None else settings.api_key.get_secret_value()
    if settings.api_url and (given or not is_loopback(settings.api_url)):
        return Service(settings.api_url, given)
    running = find_running(settings.data_dir)
    if settings.api_url and settings.api_url.rstrip("/") != running:
        return Service(settings.api_url)
    if running is None:
        return None
    return Service(running, given or read_local_key(settings.data_dir))
