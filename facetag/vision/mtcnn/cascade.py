"""The three networks of MTCNN, compiled."""

from dataclasses import dataclass

from facetag.vision.inference.openvino_backend import Compiled


@dataclass(frozen=True, slots=True)
class Cascade:
    """Proposal (n, any, any, 3), refinement (n, 24, 24, 3) and output (n, 48, 48, 3) network.

    Each takes pixels in 0..255 and returns box offsets (..., 4) and probabilities of a face (...).
    """

    propose: Compiled
    refine: Compiled
    output: Compiled
