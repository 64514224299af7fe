"""Hold the three networks of MTCNN, compiled."""

from dataclasses import dataclass

from facetag.vision.inference.openvino_backend import Compiled


@dataclass(frozen=True, slots=True)
class Cascade:
    """Hold the proposal, refinement and output network.

    Their inputs are (n, any, any, 3), (n, 24, 24, 3) and (n, 48, 48, 3).
    Each takes pixels in 0..255 and returns box offsets (..., 4) and probabilities of a face (...).
    The output network returns landmarks (n, 10) too: five x, then five y, in sides of its patch.
    """

    propose: Compiled
    refine: Compiled
    output: Compiled
