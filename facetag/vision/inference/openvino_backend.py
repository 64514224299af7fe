"""Compile graphs with OpenVINO, which is all that a worker needs to compute on a CPU."""

import sys
from collections.abc import Callable
from functools import cache
from queue import LifoQueue
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.inference.precision import FloatPrecision

if TYPE_CHECKING:
    import openvino

Batch = npt.NDArray[np.float32]
Compiled = Callable[[Batch], list[Batch]]
"""A function that takes a batch (n, ...) and returns the network's outputs, in their order."""

KERNELS = 256
"""Kernels that OpenVINO keeps per network and lane for shapes seen before (by default 5,000)."""

# OpenVINO reports each import to Google Analytics if it finds this module.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def compile_graph(
    graph: "openvino.Model",
    *,
    precision: FloatPrecision = "float32",
    slots: CpuSlots | None = None,
) -> Compiled:
    """Compile a graph in this process.

    Layers that the graph rounds to 8 bits (see `openvino_conversion`) compute in integers, all
    others in `precision`. As many threads as the slots have lanes may call the result at the same
    time; without slots, one thread.
    """
    slots = slots or CpuSlots.for_one_caller()
    options = _options(precision, slots.threads)
    return _run_in_lanes(lambda: open_core().compile_model(graph, "CPU", options), slots)


def read_graph(structure: bytes, weights: bytes) -> "openvino.Model":
    """Read a graph from the content of the two files that `graph_export` writes."""
    import openvino

    return open_core().read_model(structure, openvino.Tensor(np.frombuffer(weights, np.uint8)))


def compile_to_blob(graph: "openvino.Model", *, precision: FloatPrecision, threads: int) -> bytes:
    """Compile a graph for calls of `threads` threads, and return what `load_blob` loads.

    The result is for this processor and this version of OpenVINO alone.
    """
    compiled = open_core().compile_model(graph, "CPU", _options(precision, threads))
    blob: bytes = compiled.export_model().getvalue()
    return blob


def load_blob(blob: bytes, *, precision: FloatPrecision, slots: CpuSlots) -> Compiled:
    """Load a compiled graph; it computes exactly what `compile_graph` of its graph computes."""
    options = _options(precision, slots.threads)
    return _run_in_lanes(lambda: open_core().import_model(blob, "CPU", options), slots)


def _options(precision: FloatPrecision, threads: int) -> dict[str, Any]:
    return {
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
        # With one stream, the calling thread computes. Two streams of one compiled model would
        # share its weights, but they are other threads, and handing work to them leaves cores idle.
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "CPU_RUNTIME_CACHE_CAPACITY": KERNELS,
        # With pinning, all worker processes of a machine would be pinned to the same cores.
        "ENABLE_CPU_PINNING": False,
    }


def _run_in_lanes(make: Callable[[], "openvino.CompiledModel"], slots: CpuSlots) -> Compiled:
    """Return a function that computes with one compiled model per lane."""
    idle: LifoQueue[openvino.InferRequest] = LifoQueue()
    for _ in range(slots.lanes):
        idle.put(make().create_infer_request())

    def run(batch: Batch) -> list[Batch]:
        request = idle.get()
        try:
            return list(request.infer(batch, share_inputs=True).to_tuple())
        finally:
            idle.put(request)

    return run


@cache
def open_core() -> Any:
    """Return this process's only OpenVINO core, which lives as long as the process.

    A core gives the thread that makes it a stack for signals and takes that stack away when the
    core is freed, even if a later core uses it: the next signal would end the process.
    """
    import openvino

    # OpenVINO's bindings look up NumPy's types once. If two threads did so first at the same time,
    # they would deadlock: one holds the interpreter, the other the lock of the one-time set-up.
    openvino.Type.f32.to_dtype()
    return openvino.Core()
