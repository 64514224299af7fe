"""Trace Keras models and TensorFlow functions, and compile the graphs or write them for OpenVINO.

TensorFlow takes hundreds of megabytes that a process never gives back, so workers leave this to a
process of its own (`facetag.vision.network_loader`). On GPUs, TensorFlow itself computes.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.inference.graph_passes import simplify
from facetag.vision.inference.openvino_backend import Compiled, compile_graph, open_core
from facetag.vision.inference.precision import FloatPrecision

if TYPE_CHECKING:
    import openvino

Function = Callable[[tf.Tensor], Sequence[tf.Tensor]]
Shape = Sequence[int | None]


def on_gpu() -> bool:
    """Return whether TensorFlow finds a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def compile_model(
    model: keras.Model,
    *,
    precision: FloatPrecision = "float32",
    slots: CpuSlots | None = None,
) -> Compiled:
    """Compile a model with one input; its outputs come flat, as `keras.tree.flatten` orders them.

    On a CPU, see `facetag.vision.inference.openvino_backend.compile_graph`.
    """
    if on_gpu():
        return _by_tensorflow(lambda batch: _flat(model(batch, training=False)), model.input.shape)
    return compile_graph(_graph_of_model(model), precision=precision, slots=slots)


def compile_function(
    function: Function,
    shape: Shape,
    *,
    precision: FloatPrecision = "float32",
    slots: CpuSlots | None = None,
) -> Compiled:
    """Compile a TensorFlow function of a batch of this shape; its weights are constants."""
    if on_gpu():
        return _by_tensorflow(function, shape)
    return compile_graph(_graph_of(function, shape), precision=precision, slots=slots)


def write_model(model: keras.Model, file: Path) -> None:
    """Write a model for `openvino_backend.read_graph`: an .xml file and its weights as .bin."""
    _save(_graph_of_model(model), file)


def write_function(function: Function, shape: Shape, file: Path) -> None:
    """Write a function for `openvino_backend.read_graph`, as `write_model` does."""
    _save(_graph_of(function, shape), file)


def _save(graph: "openvino.Model", file: Path) -> None:
    import openvino

    openvino.save_model(graph, file, compress_to_fp16=False)


def _by_tensorflow(function: Function, shape: Shape) -> Compiled:
    traced = tf.function(function, input_signature=[tf.TensorSpec(shape, tf.float32)])
    return lambda batch: [output.numpy() for output in traced(tf.constant(batch))]


def _graph_of_model(model: keras.Model) -> "openvino.Model":
    weights = [np.asarray(value) for value in model.trainable_variables]
    others = [np.asarray(value) for value in model.non_trainable_variables]

    def of_weights(batch: tf.Tensor, *values: tf.Tensor) -> Sequence[tf.Tensor]:
        fitted, fixed = values[: len(weights)], values[len(weights) :]
        return _flat(model.stateless_call(fitted, fixed, batch, training=False)[0])

    return _graph_of(of_weights, model.input.shape, [*weights, *others])


def _graph_of(
    function: Callable[..., Sequence[tf.Tensor]],
    shape: Shape,
    weights: Sequence[npt.NDArray[Any]] = (),
) -> "openvino.Model":
    """Return OpenVINO's graph of a function of a batch and of these weights."""
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.pb"
        _write_traced(function, shape, weights, file)
        model = open_core().read_model(file)
    # The weights become constants only here: as constants of TensorFlow's graph they would be
    # copied four times.
    for parameter in model.get_parameters():
        name = parameter.get_friendly_name().removesuffix(":0")
        if name.startswith("weights_"):
            constant = openvino.opset1.constant(weights[int(name.removeprefix("weights_"))])
            for target in parameter.output(0).get_target_inputs():
                if target.get_node().get_type_name() == "Result":
                    # A weight that no layer uses, such as a dropout's seed, became an output.
                    model.remove_result(target.get_node())
                else:
                    target.replace_source_output(constant.output(0))
            model.remove_parameter(parameter)
    simplify(model)
    return model


def _write_traced(
    function: Callable[..., Sequence[tf.Tensor]],
    shape: Shape,
    weights: Sequence[npt.NDArray[Any]],
    file: Path,
) -> None:
    """Write TensorFlow's graph of a function; its weights are inputs `weights_0` and so on."""
    inputs = [
        tf.TensorSpec(value.shape, value.dtype, name=f"weights_{index}")
        for index, value in enumerate(weights)
    ]
    traced = tf.function(function).get_concrete_function(tf.TensorSpec(shape, tf.float32), *inputs)
    file.write_bytes(traced.graph.as_graph_def().SerializeToString())


def _flat(outputs: object) -> list[tf.Tensor]:
    tensors: list[tf.Tensor] = keras.tree.flatten(outputs)
    return tensors
