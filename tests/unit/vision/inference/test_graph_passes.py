"""Rewritten graphs compute the same as before, with the rounding and the scaling elsewhere."""

import numpy as np
import openvino
import pytest
from openvino import opset13 as op

from facetag.vision.inference.graph_passes import simplify
from facetag.vision.inference.openvino_backend import compile_graph

RNG = np.random.default_rng(3)


def constant(values):
    return op.constant(np.asarray(values, np.float32))


def convolve(x, channels, side=3, pad=0):
    kernel = constant(RNG.normal(0, 0.3, (channels, x.get_output_shape(0)[1], side, side)))
    return op.convolution(x, kernel, [1, 1], [pad] * 2, [pad] * 2, [1, 1])


def rounded(x, high=2.0):
    return op.fake_quantize(x, *map(constant, (0.0, high, 0.0, high)), levels=256)


def graph_of(build):
    images = op.parameter([2, 3, 16, 16], np.float32)
    return openvino.Model([op.result(build(images))], [images], "network")


def kinds(graph):
    return [node.get_type_name() for node in graph.get_ordered_ops()]


def outputs_of(graph):
    images = np.random.default_rng(1).uniform(0, 255, (2, 3, 16, 16)).astype(np.float32)
    return compile_graph(graph)(images)[0].copy()


def pools(images):
    features = op.relu(convolve(op.multiply(images, constant(1 / 255)), 4))
    pooled = op.max_pool(features, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2]).output(0)
    joined = op.concat([pooled, op.sigmoid(pooled)], axis=1)
    return op.add(convolve(rounded(joined), 5), convolve(rounded(joined), 5))


def test_what_a_concatenation_takes_is_rounded_instead_of_what_it_gives():
    graph = graph_of(pools)
    before = outputs_of(graph)
    assert kinds(graph).count("FakeQuantize") == 2
    simplify(graph)
    assert np.allclose(outputs_of(graph), before, atol=1e-5)
    order = kinds(graph)
    assert "FakeQuantize" not in order[order.index("Concat") :]
    assert "FakeQuantize" in order


def test_two_ways_of_rounding_stay_where_they_are():
    def build(images):
        pooled = op.concat([images, op.sigmoid(images)], axis=1)
        return op.add(convolve(rounded(pooled), 5), convolve(rounded(pooled, high=3.0), 5))

    graph = graph_of(build)
    before = kinds(graph)
    simplify(graph)
    assert kinds(graph) == before


@pytest.mark.parametrize(("pad", "left"), [(0, 0), (1, 1)])
def test_scaling_is_folded_where_nothing_is_padded(pad, left):
    def build(images):
        scaled = op.add(op.multiply(images, constant([[[[1 / 127.5]]]])), constant([[[[-1.0]]]]))
        return op.relu(convolve(scaled, 6, pad=pad))

    graph = graph_of(build)
    before = outputs_of(graph)
    simplify(graph)
    assert kinds(graph).count("Multiply") == left
    assert np.allclose(outputs_of(graph), before, atol=1e-4)
