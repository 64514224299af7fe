"""Networks compiled for what they run on: by OpenVINO for processors, by TensorFlow for GPUs."""

import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from queue import LifoQueue
from typing import Any

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

KERNELS = 256
"""Kernels that OpenVINO keeps for shapes it has met, a network and lane; 5,000 by itself."""

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
        return _by_tensorflow(lambda batch: _flat(model(batch, training=False)), shape)
    weights = [np.asarray(value) for value in model.trainable_variables]
    others = [np.asarray(value) for value in model.non_trainable_variables]

    def of_weights(batch: tf.Tensor, *values: tf.Tensor) -> Sequence[tf.Tensor]:
        fitted, fixed = values[: len(weights)], values[len(weights) :]
        return _flat(model.stateless_call(fitted, fixed, batch, training=False)[0])

    return _by_openvino(of_weights, shape, precision, lanes, [*weights, *others])


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
    function: Callable[..., Sequence[tf.Tensor]],
    shape: Sequence[int | None],
    precision: FloatPrecision,
    lanes: int,
    weights: Sequence[npt.NDArray[Any]] = (),
) -> Compiled:
    """Compile a function of a batch and of weights, which stay as they are."""
    import openvino

    core = _open_core()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.pb"
        _write_graph(function, shape, weights, file)
        model = core.read_model(file)
    # As constants of TensorFlow's graph weights would be copied four times on their way here.
    for parameter in model.get_parameters():
        name = parameter.get_friendly_name().removesuffix(":0")
        if name.startswith("weights_"):
            constant = openvino.opset1.constant(weights[int(name.removeprefix("weights_"))])
            for target in parameter.output(0).get_target_inputs():
                if target.get_node().get_type_name() == "Result":
                    # A weight that nothing takes, such as a dropout's seed, became an output.
                    model.remove_result(target.get_node())
                else:
                    target.replace_source_output(constant.output(0))
            model.remove_parameter(parameter)
    options = {
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
        # With one stream the calling thread computes. Two streams of one compiled model share its
        # weights, but are threads of their own, and the handing over leaves cores idle.
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads_an_operation(),
        "CPU_RUNTIME_CACHE_CAPACITY": KERNELS,
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


@cache
def _open_core() -> Any:
    """Return this process's one core, for as long as it lives.

    Each core gives the thread that makes it a stack for signals, and takes it away when it goes,
    also from the one that came after it: the next signal would end the process.
    """
    import openvino

    return openvino.Core()


def _write_graph(
    function: Callable[..., Sequence[tf.Tensor]],
    shape: Sequence[int | None],
    weights: Sequence[npt.NDArray[Any]],
    file: Path,
) -> None:
    """Write TensorFlow's graph of a function, whose weights are inputs `weights_0` and so on."""
    inputs = [
        tf.TensorSpec(value.shape, value.dtype, name=f"weights_{index}")
        for index, value in enumerate(weights)
    ]
    traced = tf.function(function).get_concrete_function(tf.TensorSpec(shape, tf.float32), *inputs)
    file.write_bytes(traced.graph.as_graph_def().SerializeToString())


def _flat(outputs: object) -> list[tf.Tensor]:
    tensors: list[tf.Tensor] = keras.tree.flatten(outputs)
    return tensors
