"""Trace a bundle's network and MTCNN's three, and compile them for this machine's CPU.

`facetag.vision.network_loader` runs this program as a process of its own, because TensorFlow and
the compiler take memory that a process never gives back. It prints nothing, except that with the
exit status REFUSED it prints an error that says what to do. TensorFlow is imported only if the
traced graphs are not kept.
"""

import argparse
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from facetag.errors import FacetagError
from facetag.standalone.processes.parent_death import end_with_parent
from facetag.vision.bundle import Bundle, open_bundle
from facetag.vision.inference.graph_cache import TRACED, Files, GraphCache
from facetag.vision.inference.graph_facts import traced_facts
from facetag.vision.inference.openvino_backend import compile_to_blob, read_graph
from facetag.vision.inference.precision import Precision, float_precision, part_precisions

REFUSED = 3


def main() -> int:
    """Write the compiled graphs of the bundle that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--precision", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--cache-bytes", type=int, required=True)
    parser.add_argument("--only-trace", action="store_true")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    end_with_parent(options.parent, signal.SIGKILL)
    cache = GraphCache(options.cache, options.cache_bytes)
    try:
        traced = trace_graphs(open_bundle(options.bundle), options.precision, cache)
        if not options.only_trace:
            write_blobs(traced, options.precision, options.threads, options.folder)
    except FacetagError as error:
        sys.stdout.write(str(error))
        return REFUSED
    return 0


def trace_graphs(bundle: Bundle, precision: Precision, cache: GraphCache) -> Files:
    """Return the six graphs as OpenVINO's files, kept or traced now.

    Raises BundleInvalid for a wrong checksum.
    """

    def make() -> Files:
        with TemporaryDirectory(prefix="facetag-") as folder:
            write_graphs(bundle, precision, Path(folder))
            return {file.name: file.read_bytes() for file in Path(folder).iterdir()}

    return cache.get(TRACED, traced_facts(bundle, precision), make)


def write_graphs(bundle: Bundle, precision: Precision, folder: Path) -> None:
    """Trace the six graphs and write them into a folder."""
    from facetag.vision.inference.graph_export import write_function, write_model
    from facetag.vision.inference.openvino_conversion import split_network
    from facetag.vision.mtcnn.networks import SHAPES, load_networks

    features, heads = split_network(
        bundle.load_network(),
        bundle.spec,
        precision=float_precision(precision),
        ranges=bundle.ranges_in(precision),
    )
    write_model(features, folder / "features.xml")
    write_model(heads, folder / "heads.xml")
    networks = load_networks()
    for name, shape in SHAPES.items():
        write_function(getattr(networks, name), shape, folder / f"{name}.xml")


def write_blobs(traced: Files, precision: Precision, threads: int, folder: Path) -> None:
    """Compile the six graphs and write each as a file that OpenVINO loads as it is."""
    for name, computes_in in part_precisions(precision).items():
        graph = read_graph(traced[f"{name}.xml"], traced[f"{name}.bin"])
        blob = compile_to_blob(graph, precision=computes_in, threads=threads)
        (folder / name).write_bytes(blob)


if __name__ == "__main__":
    sys.exit(main())
