"""Face descriptors of dlib's recognition network: 128 numbers that tell persons apart.

The network and the five-point landmarks come with `face-recognition-models`, run by `dlib-bin`
(`pip install 'facetag[teachers]'`); their author dedicated them to the public domain (CC0, as
https://github.com/davisking/dlib-models says). Source: King 2017, "High Quality Face Recognition
with Deep Metric Learning". They teach only: nothing that labels photos imports this module.
"""

import hashlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facetag.errors import FacetagError
from facetag.vision.photo import Pixels

LANDMARKS = "shape_predictor_5_face_landmarks.dat"
NETWORK = "dlib_face_recognition_resnet_model_v1.dat"
SHA256 = {
    LANDMARKS: "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
    NETWORK: "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
}
FACE = (0.125, 0.15, 0.875, 0.9)
"""The rectangle that landmarks are looked for in, in sides of an image that is cut about a face as
UTKFace's are: x1, y1, x2, y2."""
UNITS = 128

Describe = Callable[[Pixels], npt.NDArray[np.float32]]


def load_describer() -> Describe:
    """Return what gives the descriptor (128,) of the face that an image is cut about.

    Raises FacetagError where the extra is not installed, or its files are others than the known.
    """
    # Its files alone are needed, and importing it needs an older setuptools (pkg_resources).
    models = importlib.util.find_spec("face_recognition_models")
    if models is None or models.origin is None or importlib.util.find_spec("dlib") is None:
        raise FacetagError(
            "Teaching needs dlib and its networks: install them with "
            "`pip install 'facetag[teachers]'`."
        )
    import dlib

    paths = {}
    for name, known in SHA256.items():
        path = Path(models.origin).parent / "models" / name
        if hashlib.sha256(path.read_bytes()).hexdigest() != known:
            raise FacetagError(
                f"{name} is not that of face-recognition-models 0.3.0: install that version."
            )
        paths[name] = str(path)
    place: Any = dlib.shape_predictor(paths[LANDMARKS])
    network: Any = dlib.face_recognition_model_v1(paths[NETWORK])

    def describe(image: Pixels) -> npt.NDArray[np.float32]:
        pixels = np.ascontiguousarray(image)
        height, width = pixels.shape[:2]
        sides = (int(share * side) for share, side in zip(FACE, (width, height) * 2, strict=True))
        shape = place(pixels, dlib.rectangle(*sides))
        return np.array(network.compute_face_descriptor(pixels, shape), np.float32)

    return describe
