"""Turns a network into graphs for prediction alone: batch norms folded away, bfloat16 if asked for.

That is half as large, and twice as fast where a processor has it. TensorFlow keeps what was needed
on the way, some hundred megabytes: `vision.apart` does it in another process.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy.typing as npt
import tensorflow as tf
from tensorflow.core.framework.graph_pb2 import GraphDef
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2, rewriter_config_pb2
from tensorflow.python.eager import wrap_function
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from tensorflow.python.grappler import tf_optimizer
from tensorflow.python.training.saver import export_meta_graph

from vision.bundle import Bundle
from vision.network import NetworkSpec, take_features, take_heads

LARGE_BYTES = 16384
"""Constants above it are given to a graph at each call: of those in it TensorFlow keeps a dozen
copies. In exchange oneDNN arranges them anew each time, which takes as long as a crop or so."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A function as bytes: its graph, the tensors that go in and come out, and its weights."""

    data: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weights: Mapping[str, npt.NDArray[Any]]

    def load(self) -> Callable[[tf.Tensor], list[tf.Tensor]]:
        """Return what gives the outputs for an input."""
        graph, names = GraphDef.FromString(self.data), (*self.inputs, *self.weights)
        function = wrap_function.function_from_graph_def(graph, names, self.outputs)
        weights = [tf.constant(values) for values in self.weights.values()]
        return lambda values: function(values, *weights)


@dataclass(frozen=True, slots=True)
class FrozenGraphs:
    """A network in two parts: crops (n, size, size, 3) to features, and these to the outputs."""

    read: Graph
    answer: Graph
    input_size: int
    units: Mapping[str, int]
    """Columns of each head's output, in the order in which `answer` gives them."""


def freeze_bundle(bundle: Bundle, *, bfloat16: bool = False) -> FrozenGraphs:
    """Freeze a bundle's network, which reads crops as the bundle says: with mirror image or not.

    Raises BundleInvalid unless the weights are the manifest's.
    """
    network = bundle.load_network()
    return freeze_network(network, bundle.spec, mirror=bundle.mirror, bfloat16=bfloat16)


def freeze_network(
    network: keras.Model, spec: NetworkSpec, *, mirror: bool = False, bfloat16: bool = False
) -> FrozenGraphs:
    """Freeze a network; with `mirror`, outputs are the mean over a crop and its mirror image.

    With `bfloat16` the backbone computes in that; heads do not: it would round ages to quarters.
    """
    trunk, heads = take_features(network, spec), take_heads(network, spec)

    @tf.function(input_signature=[tf.TensorSpec(trunk.input.shape, tf.float32)])
    def read(images: tf.Tensor) -> tf.Tensor:
        batch = tf.concat([images, tf.reverse(images, [2])], 0) if mirror else images
        return trunk(batch, training=False)

    @tf.function(input_signature=[tf.TensorSpec(trunk.output.shape, tf.float32)])
    def answer(features: tf.Tensor) -> list[tf.Tensor]:
        outputs = heads(features, training=False)
        if mirror:
            outputs = {name: _mean_of_halves(outputs[name]) for name in spec.heads}
        return [outputs[name] for name in spec.heads]

    units = {name: int(heads.output[name].shape[-1]) for name in spec.heads}
    return FrozenGraphs(_freeze(read, bfloat16), _freeze(answer, False), spec.input_size, units)


def _mean_of_halves(values: tf.Tensor) -> tf.Tensor:
    first, second = tf.split(values, 2)
    return (first + second) / 2


def _freeze(function: Any, bfloat16: bool) -> Graph:
    """Freeze a function of one signature, with batch norms folded into the weights.

    The rewrite is TensorFlow's own. In bfloat16 inputs and outputs stay float32; where oneDNN has
    no bfloat16 all does.
    """
    frozen = convert_variables_to_constants_v2(function.get_concrete_function())
    inputs = tuple(tensor.name for tensor in frozen.inputs)
    outputs = tuple(tensor.name for tensor in frozen.outputs)
    graph = export_meta_graph(graph_def=frozen.graph.as_graph_def(), graph=frozen.graph)
    kept = meta_graph_pb2.CollectionDef()
    kept.node_list.value.extend([*inputs, *outputs])
    graph.collection_def["train_op"].CopyFrom(kept)
    config = config_pb2.ConfigProto()
    options = config.graph_options.rewrite_options
    if bfloat16:
        options.auto_mixed_precision_onednn_bfloat16 = rewriter_config_pb2.RewriterConfig.ON
    # Else it passes over graphs of fewer than four nodes.
    options.min_graph_nodes = -1
    rewritten = tf_optimizer.OptimizeGraph(config, graph)
    weights = _take_weights(rewritten)
    return Graph(rewritten.SerializeToString(), inputs, outputs, weights)


def _take_weights(graph: Any) -> dict[str, npt.NDArray[Any]]:
    """Take the large constants out of a graph, and return them by the name of their tensor."""
    weights = {}
    for node in graph.node:
        if node.op != "Const":
            continue
        values = tf.make_ndarray(node.attr["value"].tensor)
        if values.nbytes > LARGE_BYTES:
            weights[f"{node.name}:0"] = values
            node.op = "Placeholder"
            del node.attr["value"]
            node.attr["shape"].shape.CopyFrom(tf.TensorShape(values.shape).as_proto())
    return weights
