"""Networks compiled for processors by OpenVINO, which alone a worker needs to compute there."""

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from queue import LifoQueue
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from facetag.cores import threads_an_operation
from facetag.vision.inference.precision import FloatPrecision

if TYPE_CHECKING:
    import openvino

Batch = npt.NDArray[np.float32]
Compiled = Callable[[Batch], list[Batch]]
"""Takes a batch (n, ...) and returns a network's outputs, in their order."""

KERNELS = 256
"""Kernels that OpenVINO keeps for shapes it has met, a network and lane; 5,000 by itself."""

# OpenVINO reports each import to Google Analytics where it finds this module.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def compile_graph(
    graph: "openvino.Model | Path", *, precision: FloatPrecision = "float32", lanes: int = 1
) -> Compiled:
    """Compile a graph, or a file of one (`facetag.vision.inference.export_graphs`).

    Layers that the graph rounds to 8 bits (see `convert`) are computed in integers, all else in
    `precision`. As many threads as `lanes` can call it at a time.
    """
    import openvino

    core = open_core()
    model = core.read_model(graph) if isinstance(graph, Path) else graph
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
def open_core() -> Any:
    """Return this process's one core, for as long as it lives.

    Each core gives the thread that makes it a stack for signals, and takes it away when it goes,
    also from the one that came after it: the next signal would end the process.
    """
    import openvino

    # Its bindings meet NumPy here, in one thread. Two that were the first at a time would wait for
    # each other for ever: one has the interpreter, the other the guard of what is made but once.
    openvino.Type.f32.to_dtype()
    return openvino.Core()
