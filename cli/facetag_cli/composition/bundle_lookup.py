"""Find the held-out faces of the bundle that labelled a collection."""

from typing import Any

from facetag.bundles.bundle_folder import DEFAULT_FOLDER, read_manifest
from facetag.client.api_client import ApiClient
from facetag.client.service_lookup import find_service
from facetag.errors import FacetagError
from facetag.quantification.held_out_answers import HeldOut
from facetag.settings import Settings


def find_held_out(version: str, settings: Settings) -> HeldOut:
    """Return the held-out faces of the bundle with this version.

    The bundle on this machine is asked first, then the service. Raises QuantificationUnavailable
    where the bundle keeps none, and FacetagError where nobody knows the bundle.
    """
    return HeldOut.from_manifest(_find_manifest(version, settings))


def _find_manifest(version: str, settings: Settings) -> dict[str, Any]:
    folder = settings.bundle or DEFAULT_FOLDER
    if folder.is_dir():
        manifest = read_manifest(folder)
        if manifest["version"] == version:
            return manifest
    service = find_service(settings)
    if service is None:
        raise FacetagError(
            f"The bundle {version}, which labelled these photos, is not in {folder}, and no "
            "service runs that could know it: set FACETAG_BUNDLE to its folder."
        )
    with ApiClient(service) as client:
        return dict(client.get_bundle(version)["manifest"])
