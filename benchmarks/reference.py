"""The `mtcnn` package as the reference, for larger faces than its default of 20 pixels too."""

from typing import Any

SMALLEST_LEVEL = 12
"""Pixels of a pyramid level's short side below which mtcnn says that it does not go."""


def load_reference() -> Any:
    """Return an `MTCNN` whose pyramids end where its networks do.

    mtcnn 1.0.0 counts levels as if the first were the whole image: with a `min_face_size` of about
    25 or more the last are too small, and Keras raises ValueError; with its default, none is.
    """
    from mtcnn import MTCNN
    from mtcnn.stages import stage_pnet
    from mtcnn.utils.images import build_scale_pyramid

    def build_valid_pyramid(width: int, height: int, **options: Any) -> Any:
        scales = build_scale_pyramid(width, height, **options)
        return scales[min(width, height) * scales >= SMALLEST_LEVEL]

    stage_pnet.build_scale_pyramid = build_valid_pyramid
    return MTCNN()
