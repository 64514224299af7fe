"""Hold the three networks of MTCNN, compiled; the third of them twice."""

from dataclasses import dataclass

from facetag.vision.inference.openvino_backend import Compiled


@dataclass(frozen=True, slots=True)
class Cascade:
    """Hold the proposal, refinement and output network, and the output network for second looks.

    Their inputs are (n, any, any, 3), (n, 24, 24, 3) and twice (n, 48, 48, 3). Looks place no box,
    so `look` may compute in less precision than `output`.
    Each takes pixels in 0..255 and returns box offsets (n, 4) and probabilities of a face (n,); the
    proposal network returns planes (n, 5, rows, columns) of offsets and logits instead.
    The output network returns landmarks (n, 10) too: five x, then five y, in sides of its patch.
    Looks return the features (n, FEATURES) of its last hidden layer as well.
    """

    propose: Compiled
    refine: Compiled
    output: Compiled
    look: Compiled
