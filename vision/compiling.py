"""Networks compiled for what they run on: by OpenVINO for processors, by TensorFlow for GPUs."""

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import LifoQueue

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from facetag.cores import threads_an_operation
from vision.precision import FloatPrecision

Batch = npt.NDArray[np.float32]
Function = Callable[[tf.Tensor], Sequence[tf.Tensor]]
Compiled = Callable[[Batch], list[Batch]]
"""Takes a batch (n, ...) and returns a network's outputs, in their order."""

# OpenVINO reports each import to Google Analytics where it finds this module.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def on_gpu() -> bool:
    """Tell whether TensorFlow finds a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def compile_model(
    model: keras.Model, *, precision: FloatPrecision = "float32", lanes: int = 1
) -> Compiled:
    """Compile a model with one input; its outputs are flattened as `keras.tree.flatten` does.

    On a processor what is rounded to 8 bits (`vision.quantizing`) is computed in integers, all else
    in `precision`; calls from as many threads as `lanes` go on at a time.
    """
    shape = model.input.shape
    if on_gpu():
        # Weights stay variables: of constants in a graph TensorFlow keeps a dozen copies.
        return _by_tensorflow(lambda batch: _flat(model(batch, training=False)), shape)
    weights = [
        [np.asarray(variable) for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    ]

    def frozen(batch: tf.Tensor) -> Sequence[tf.Tensor]:
        constants = [[tf.constant(value) for value in values] for values in weights]
        outputs, _ = model.stateless_call(*constants, batch, training=False)
        return _flat(outputs)

    return _by_openvino(frozen, shape, precision, lanes)


def compile_function(
    function: Function, shape: Sequence[int | None], *, lanes: int = 1
) -> Compiled:
    """Compile a function of TensorFlow's of a batch of this shape, whose weights are constants."""
    return (
        _by_tensorflow(function, shape)
        if on_gpu()
        else _by_openvino(function, shape, "float32", lanes)
    )


def _by_tensorflow(function: Function, shape: Sequence[int | None]) -> Compiled:
    traced = tf.function(function, input_signature=[tf.TensorSpec(shape, tf.float32)])
    return lambda batch: [output.numpy() for output in traced(tf.constant(batch))]


def _by_openvino(
    function: Function, shape: Sequence[int | None], precision: FloatPrecision, lanes: int
) -> Compiled:
    import openvino

    traced = tf.function(function, input_signature=[tf.TensorSpec(shape, tf.float32)])
    graph = traced.get_concrete_function().graph.as_graph_def()
    core = openvino.Core()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.pb"
        file.write_bytes(graph.SerializeToString())
        model = core.read_model(file)
    options = {
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
        # With one stream the calling thread computes. Two streams of one compiled model share its
        # weights, but are threads of their own, and the handing over leaves cores idle.
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads_an_operation(),
        # Worker processes side by side would all be pinned to the same cores.
        "ENABLE_CPU_PINNING": False,
    }
    idle: LifoQueue[openvino.InferRequest] = LifoQueue()
    for _ in range(lanes):
        idle.put(core.compile_model(model, "CPU", options).create_infer_request())

    def run(batch: Batch) -> list[Batch]:
        request = idle.get()
        try:
            return list(request.infer([batch], share_inputs=True).to_tuple())
        finally:
            idle.put(request)

    return run


def _flat(outputs: object) -> list[tf.Tensor]:
    tensors: list[tf.Tensor] = keras.tree.flatten(outputs)
    return tensors
