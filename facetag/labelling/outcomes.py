"""The images that are to be labelled, and what came of each."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from facetag.db.tables import ImageState
from facetag.errors import ErrorCode
from facetag.results.image_lines import Face

MAX_MESSAGE_CHARS = 500
"""Characters of an image's error message that are kept."""


@dataclass(frozen=True, slots=True)
class ImageToLabel:
    """Hold one image that is to be read and labelled, as a worker claims it.

    `suspicion` counts the workers that died while at work on it, `releases` how often it was given
    back with a backoff.
    """

    id: int
    position: int
    bucket: str
    key: str
    name: str
    suspicion: int = 0
    releases: int = 0
    tenant_id: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """State the result of one image: `tagged`, `no_face`, or `failed` with `error` (code, message).

    `stage_ms` holds milliseconds per stage; `model_version` is None if no network saw the image.
    `incomplete` tells that the image was labelled although its file lacks its last bytes. `look` is
    its difference hash.
    """

    image_id: int
    state: ImageState
    error: tuple[str, str] | None = None
    width: int | None = None
    height: int | None = None
    faces: Sequence[Face] = ()
    stage_ms: dict[str, float] = field(default_factory=dict)
    model_version: str | None = None
    incomplete: bool = False
    look: bytes | None = None

    @classmethod
    def failure(
        cls, image_id: int, code: ErrorCode, message: str, stage_ms: dict[str, float] | None = None
    ) -> "Outcome":
        """Return the outcome of an image that failed with a documented code."""
        return cls(
            image_id, ImageState.FAILED, error=(code.value, message), stage_ms=stage_ms or {}
        )
