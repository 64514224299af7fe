"""Write a bundle's network and MTCNN's three as graphs that OpenVINO compiles.

`facetag.vision.network_loader` runs this program as a process of its own. It prints nothing, except
that with the exit status REFUSED it prints an error that says what to do.
"""

import argparse
import signal
import sys
from pathlib import Path

from facetag.errors import FacetagError
from facetag.standalone.processes.parent_death import end_with_parent
from facetag.vision.bundle import Bundle, open_bundle
from facetag.vision.inference.precision import Precision, float_precision

REFUSED = 3
FEATURES, HEADS = "features.xml", "heads.xml"
"""Files of the network's two parts. MTCNN's files are named after the fields of `Cascade`."""


def main() -> int:
    """Write the graphs of the bundle that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--precision", required=True)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    end_with_parent(options.parent, signal.SIGKILL)
    try:
        write_graphs(open_bundle(options.bundle), options.precision, options.folder)
    except FacetagError as error:
        sys.stdout.write(str(error))
        return REFUSED
    return 0


def write_graphs(bundle: Bundle, precision: Precision, folder: Path) -> None:
    """Write the five graphs into a folder; raises BundleInvalid for a wrong checksum."""
    from facetag.vision.inference.graph_export import write_function, write_model
    from facetag.vision.inference.openvino_conversion import split_network
    from facetag.vision.mtcnn.networks import SHAPES, load_networks

    features, heads = split_network(
        bundle.load_network(),
        bundle.spec,
        precision=float_precision(precision),
        ranges=bundle.ranges_in(precision),
    )
    write_model(features, folder / FEATURES)
    write_model(heads, folder / HEADS)
    networks = load_networks()
    for name, shape in SHAPES.items():
        write_function(getattr(networks, name), shape, folder / f"{name}.xml")


if __name__ == "__main__":
    sys.exit(main())
