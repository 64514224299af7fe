"""Label faces in image collections by apparent age, gender and race, in batches.

`label` and `FaceLabeller` label in this process, `Client` speaks to a service. Each is imported
when it is first used, so that `import facetag` stays quick and loads no TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facetag.client.service_client import Client, ServiceJob
    from facetag.library.face_labeller import FaceLabeller, label
    from facetag.results.photo_results import PhotoResults

__all__ = ["Client", "FaceLabeller", "PhotoResults", "ServiceJob", "label"]

_HOMES = {
    "Client": "facetag.client.service_client",
    "FaceLabeller": "facetag.library.face_labeller",
    "ServiceJob": "facetag.client.service_client",
    "PhotoResults": "facetag.results.photo_results",
    "label": "facetag.library.face_labeller",
}


def __getattr__(name: str) -> Any:
    """Import what is exported here when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'facetag' has no attribute {name!r}")
    try:
        home = importlib.import_module(_HOMES[name])
    except ModuleNotFoundError as error:
        from facetag.extras import missing_package

        raise missing_package(error.name or "", command_extra="cpu,tables") from error
    return getattr(home, name)


def __dir__() -> list[str]:
    """Name what is exported, also before it is imported."""
    return sorted({*globals(), *__all__})
