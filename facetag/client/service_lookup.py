"""Find the service that the settings name, or that runs on this machine."""

from facetag.client.api_client import Service
from facetag.loopback import is_loopback
from facetag.settings import Settings


def find_service(settings: Settings) -> Service | None:
    """Return the service at FACETAG_API_URL, else a `facetag up` on the data folder, else None.

    The data folder's key is sent to the folder's own service alone. Raises LocalServerFailed as
    `require_own` does.
    """
    from facetag.standalone.announcements import answers, find_announced
    from facetag.standalone.folder_owner import require_own
    from facetag.standalone.key_file import read_local_key

    given = None if settings.api_key is None else settings.api_key.get_secret_value()
    if settings.api_url and (given or not is_loopback(settings.api_url)):
        return Service(settings.api_url, given)
    found = find_announced(settings.data_dir)
    running = found if found is not None and answers(found.api_url) else None
    if settings.api_url and (running is None or settings.api_url.rstrip("/") != running.api_url):
        return Service(settings.api_url)
    if running is None:
        require_own(settings.data_dir.expanduser())
        return None
    return Service(
        running.api_url,
        given or read_local_key(settings.data_dir),
        lingers=running.lingers_for is not None,
    )
