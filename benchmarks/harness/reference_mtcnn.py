"""Load the `mtcnn` package as a reference, also for a larger smallest face than by default."""

from typing import Any

SMALLEST_LEVEL = 12
"""The shortest side of a pyramid level in pixels that mtcnn documents."""


def load_reference() -> Any:
    """Return an `MTCNN` whose pyramids have no levels that are too small for its networks.

    mtcnn 1.0.0 counts levels as if the first one were the whole image. With a `min_face_size` of 25
    or more, its last levels are too small and Keras raises ValueError; with its default none is.
    """
    from mtcnn import MTCNN
    from mtcnn.stages import stage_pnet
    from mtcnn.utils.images import build_scale_pyramid

    def build_valid_pyramid(width: int, height: int, **options: Any) -> Any:
        scales = build_scale_pyramid(width, height, **options)
        return scales[min(width, height) * scales >= SMALLEST_LEVEL]

    stage_pnet.build_scale_pyramid = build_valid_pyramid
    return MTCNN()
