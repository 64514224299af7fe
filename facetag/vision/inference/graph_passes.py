"""Rewrite OpenVINO's graphs so that they compute the same with less work between convolutions.

OpenVINO's own passes leave these: where a pool or a concatenation is rounded to 8 bits after it,
what comes before it is written and read in 16 or 32 bits.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import openvino

ROUNDED_BEFORE = ("MaxPool", "Concat")
"""Operations that give the same whether values are rounded before or after them."""
BOUNDS = (1, 2, 3, 4)
"""The inputs of a FakeQuantize that say to what it rounds."""


def simplify(graph: "openvino.Model") -> None:
    """Round before pools and concatenations, and fold the scaling of pixels into a convolution."""
    for node in graph.get_ordered_ops():
        kind = node.get_type_name()
        if kind in ROUNDED_BEFORE:
            _round_before(node)
        elif kind == "Convolution":
            _fold_scaling(node)
    graph.validate_nodes_and_infer_types()


def _round_before(node: Any) -> None:
    """Round the inputs of a node instead of its output, if its output is rounded in one way.

    Others that take the output, such as a pool beside convolutions, then take it rounded too.
    """
    output = node.output(0)
    roundings = [
        target.get_node()
        for target in output.get_target_inputs()
        if target.get_node().get_type_name() == "FakeQuantize"
    ]
    ways = [_bounds_of(rounding) for rounding in roundings]
    if not ways or ways[0] is None or ways.count(ways[0]) < len(ways):
        return
    for rounding in roundings:
        for target in list(rounding.output(0).get_target_inputs()):
            target.replace_source_output(output)
    _round_inputs(node, roundings[0])


def _round_inputs(node: Any, rounding: Any) -> None:
    import openvino

    bounds = [rounding.input_value(place) for place in BOUNDS]
    levels = rounding.get_attributes()["levels"]
    for taken in node.inputs():
        source = taken.get_source_output()
        maker = source.get_node()
        if maker.get_type_name() == "Concat" and len(source.get_target_inputs()) == 1:
            _round_inputs(maker, rounding)
            continue
        rounded = openvino.opset13.fake_quantize(source, *bounds, levels=levels)
        taken.replace_source_output(rounded.output(0))


def _bounds_of(rounding: Any) -> tuple[float, ...] | None:
    """Return to what a FakeQuantize rounds; None if it is not the same for all channels."""
    values = []
    for place in BOUNDS:
        bound = _constant(rounding.input_value(place))
        if bound is None or bound.size != 1:
            return None
        values.append(float(bound.ravel()[0]))
    return (rounding.get_attributes()["levels"], *values)


def _fold_scaling(convolution: Any) -> None:
    """Fold a factor and a summand of all pixels into the convolution that takes them."""
    import openvino

    kernel, attributes = convolution.input_value(1), convolution.get_attributes()
    scaled = convolution.input_value(0)
    if any(attributes["pads_begin"]) or any(attributes["pads_end"]):
        # Beyond the edge there are zeros, which the scaling does not reach.
        return
    summand = _scalar_operand(scaled.get_node(), "Add")
    factor = None if summand is None else _scalar_operand(summand[0].get_node(), "Multiply")
    weights = _constant_after(kernel)
    if summand is None or factor is None or weights is None:
        return
    shift = weights.sum(axis=(1, 2, 3)).reshape(1, -1, 1, 1) * summand[1]
    moved = openvino.opset13.constant((weights * factor[1]).astype(np.float32))
    convolution.input(0).replace_source_output(factor[0])
    convolution.input(1).replace_source_output(moved.output(0))
    targets = list(convolution.output(0).get_target_inputs())
    shifted = openvino.opset13.add(
        convolution.output(0), openvino.opset13.constant(shift.astype(np.float32))
    )
    for target in targets:
        target.replace_source_output(shifted.output(0))


def _scalar_operand(node: Any, kind: str) -> tuple[Any, float] | None:
    """Return the other input of an operation with a single number, and that number."""
    if node.get_type_name() != kind:
        return None
    number = _constant(node.input_value(1))
    if number is None or number.size != 1:
        return None
    return node.input_value(0), float(number.ravel()[0])


def _constant(output: Any) -> npt.NDArray[Any] | None:
    node = output.get_node()
    if node.get_type_name() != "Constant":
        return None
    values: npt.NDArray[Any] = node.get_data()
    return values


def _constant_after(output: Any) -> npt.NDArray[Any] | None:
    """Return a constant, or one that is transposed, as the convolution takes it."""
    node = output.get_node()
    if node.get_type_name() != "Transpose":
        return _constant(output)
    values, order = _constant(node.input_value(0)), _constant(node.input_value(1))
    return None if values is None or order is None else np.transpose(values, order)
