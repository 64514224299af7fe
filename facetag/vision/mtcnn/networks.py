"""Build MTCNN's three networks as pure functions, with the weights of the `mtcnn` package.

Source: Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional
Networks", IEEE SPL 2016. The weights become constants of the graph that calls these functions.
"""

import hashlib
import importlib.resources
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any

import joblib
import numpy as np
import tensorflow as tf

from facetag.errors import BundleInvalid

WEIGHTS_SHA256 = {
    "pnet": "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
    "rnet": "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
    "onet": "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
}
"""Checksums of the weights in the wheel of mtcnn 1.0.0. They are joblib files, which can run code,
so they are checked before they are loaded."""

Proposed = tuple[tf.Tensor]
"""Planes (n, 5, rows, columns) of cells: four box offsets, and the logit of a face."""
Scored = tuple[tf.Tensor, tf.Tensor]
"""Box offsets (..., 4) and the probability of a face (...)."""
Placed = tuple[tf.Tensor, tf.Tensor, tf.Tensor]
"""Box offsets (n, 4), the probability of a face (n,), five landmarks (n, 10)."""
Seen = tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]
"""The same, and the features (n, FEATURES) that these follow from."""

SHAPES = {
    "propose": (None, None, None, 3),
    "refine": (None, 24, 24, 3),
    "output": (None, 48, 48, 3),
    "look": (None, 48, 48, 3),
}
"""The shape of the batches that each network takes."""


@dataclass(frozen=True, slots=True)
class MtcnnNetworks:
    """Hold the proposal (any size), refinement (24x24) and output (48x48) network, NHWC float32.

    `look` is the output network again, with its features, as `Cascade` says.
    """

    propose: Callable[[tf.Tensor], Proposed]
    refine: Callable[[tf.Tensor], Scored]
    output: Callable[[tf.Tensor], Placed]
    look: Callable[[tf.Tensor], Seen]


def load_networks(folder: Traversable | None = None) -> MtcnnNetworks:
    """Load the three networks from the `mtcnn` package, or from a folder with its weights.

    Raises BundleInvalid if a checksum of the weights is wrong.
    """
    folder = folder or importlib.resources.files("mtcnn") / "assets" / "weights"
    pnet, rnet, onet = (
        _take_pixels(_load_weights(folder, name)) for name in ("pnet", "rnet", "onet")
    )
    return MtcnnNetworks(
        propose=lambda images: _propose(images, pnet),
        refine=lambda patches: _refine(patches, rnet),
        output=lambda patches: _output(patches, onet),
        look=lambda patches: _look(patches, onet),
    )


def _load_weights(folder: Traversable, name: str) -> list[Any]:
    with importlib.resources.as_file(folder / f"{name}.lz4") as path:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != WEIGHTS_SHA256[name]:
            raise BundleInvalid(
                f"mtcnn's {name} weights are not those of version 1.0.0: "
                "reinstall it with `pip install --force-reinstall mtcnn==1.0.0`."
            )
        weights: list[Any] = joblib.load(path)
    return weights


def _take_pixels(weights: list[Any]) -> list[Any]:
    """Fold the scaling of pixels from 0..255 to -1..1 into the first convolution."""
    kernel, bias, *others = weights
    return [kernel / 128, bias - 127.5 / 128 * kernel.sum(axis=(0, 1, 2)), *others]


def _propose(images: tf.Tensor, weights: list[Any]) -> Proposed:
    x = _conv_pixels(images, *weights[0:3])
    x = tf.nn.max_pool2d(x, 2, 2, "SAME")
    x = _conv(x, *weights[3:6])
    x = _conv(x, *weights[6:9])
    # One convolution gives offsets and logits, and planes need no turning for OpenVINO.
    kernel, bias = (
        np.concatenate([weights[at], weights[at + 2][..., 1:] - weights[at + 2][..., :1]], axis=-1)
        for at in (9, 10)
    )
    cells = tf.nn.conv2d(x, kernel, 1, "VALID") + bias
    return (tf.transpose(cells, [0, 3, 1, 2]),)


def _refine(patches: tf.Tensor, weights: list[Any]) -> Scored:
    x = _conv_pixels(patches, *weights[0:3])
    x = tf.nn.max_pool2d(x, 3, 2, "SAME")
    x = _conv(x, *weights[3:6])
    x = tf.nn.max_pool2d(x, 3, 2, "VALID")
    x = _conv(x, *weights[6:9])
    x = _dense(_flatten(x), *weights[9:12])
    return x @ weights[12] + weights[13], _face_probability(x @ weights[14] + weights[15])


def _output(patches: tf.Tensor, weights: list[Any]) -> Placed:
    return _look(patches, weights)[:3]


def _look(patches: tf.Tensor, weights: list[Any]) -> Seen:
    x = _conv_pixels(patches, *weights[0:3])
    x = tf.nn.max_pool2d(x, 3, 2, "SAME")
    x = _conv(x, *weights[3:6])
    x = tf.nn.max_pool2d(x, 3, 2, "VALID")
    x = _conv(x, *weights[6:9])
    x = tf.nn.max_pool2d(x, 2, 2, "SAME")
    x = _conv(x, *weights[9:12])
    x = _dense(_flatten(x), *weights[12:15])
    offsets, landmarks = x @ weights[15] + weights[16], x @ weights[17] + weights[18]
    return offsets, _face_probability(x @ weights[19] + weights[20]), landmarks, x


def _conv_pixels(pixels: tf.Tensor, kernel: Any, bias: Any, alpha: Any) -> tf.Tensor:
    """Convolve images (n, height, width, 3) as ones of a single colour and thrice the width.

    OpenVINO turns images of several colours twice before it convolves them.
    """
    rows, columns, colours, units = kernel.shape
    # Sides that the graph does not know yet are read as it runs.
    height, width = (
        tf.shape(pixels)[at] if pixels.shape[at] is None else pixels.shape[at] for at in (1, 2)
    )
    flat = tf.reshape(pixels, [-1, height, width * colours, 1])
    flat_kernel = np.reshape(kernel, (rows, columns * colours, 1, units))
    x = tf.nn.conv2d(flat, flat_kernel, [1, 1, colours, 1], "VALID")
    return _prelu(tf.nn.bias_add(x, bias), alpha)


def _conv(x: tf.Tensor, kernel: Any, bias: Any, alpha: Any) -> tf.Tensor:
    return _prelu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "VALID"), bias), alpha)


def _dense(x: tf.Tensor, kernel: Any, bias: Any, alpha: Any) -> tf.Tensor:
    return _prelu(x @ kernel + bias, alpha)


def _prelu(x: tf.Tensor, alpha: Any) -> tf.Tensor:
    return tf.nn.relu(x) - alpha * tf.nn.relu(-x)


def _flatten(x: tf.Tensor) -> tf.Tensor:
    # The weights come from a column-major framework: width before height.
    transposed = tf.transpose(x, [0, 2, 1, 3])
    return tf.reshape(transposed, [-1, x.shape[1] * x.shape[2] * x.shape[3]])


def _face_probability(logits: tf.Tensor) -> tf.Tensor:
    return tf.sigmoid(logits[..., 1] - logits[..., 0])
