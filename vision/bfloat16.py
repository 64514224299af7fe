"""Rewrites a frozen graph to compute in bfloat16: about twice as fast where a processor has it."""

from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2, rewriter_config_pb2
from tensorflow.python.eager import wrap_function
from tensorflow.python.grappler import tf_optimizer
from tensorflow.python.training.saver import export_meta_graph


def rewrite_in_bfloat16(function: Any) -> Any:
    """Return a frozen function whose convolutions and products are in bfloat16, weights too.

    Batch norms are folded into the weights before; inputs and outputs stay float32. The rewrite is
    TensorFlow's own, which leaves everything as it is where oneDNN has no bfloat16.
    """
    names = [[tensor.name for tensor in ends] for ends in (function.inputs, function.outputs)]
    graph = export_meta_graph(graph_def=function.graph.as_graph_def(), graph=function.graph)
    kept = meta_graph_pb2.CollectionDef()
    kept.node_list.value.extend([*names[0], *names[1]])
    graph.collection_def["train_op"].CopyFrom(kept)
    config = config_pb2.ConfigProto()
    options = config.graph_options.rewrite_options
    options.auto_mixed_precision_onednn_bfloat16 = rewriter_config_pb2.RewriterConfig.ON
    # Else it passes over graphs of fewer than four nodes.
    options.min_graph_nodes = -1
    rewritten = _pack(tf_optimizer.OptimizeGraph(config, graph))
    return wrap_function.function_from_graph_def(rewritten, *names)


def _pack(graph: Any) -> Any:
    """Return the same graph with its constants as bytes.

    The rewrite lists bfloat16 one number after another, in four times their size; and TensorFlow
    keeps a graph half a dozen times.
    """
    for node in graph.node:
        if node.op == "Const":
            values = tf.make_ndarray(node.attr["value"].tensor)
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values))
    packed = type(graph)()
    # Not a copy of the message, for which protobuf would keep the memory of the original.
    packed.ParseFromString(graph.SerializeToString())
    return packed
