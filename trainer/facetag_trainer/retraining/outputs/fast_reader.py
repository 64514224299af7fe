"""Read crops with a network that is compiled for this machine, as the service does.

That takes a fraction of the time that Keras needs. Keras backends other than TensorFlow read with
Keras itself.
"""

from functools import partial

import keras
import numpy as np
import numpy.typing as npt

from facetag.vision.network.mirror_averaging import Mirroring, Outputs
from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.calibration.bundle_calibration import ReadCrops, predict_images


def compile_reader(network: keras.Model, spec: NetworkSpec, mirror: Mirroring) -> ReadCrops:
    """Return a function that gives a network's outputs (n, units) per head for RGB crops.

    Crops are (n, size, size, 3). Later changes to the network do not reach the function, except
    where Keras itself reads.
    """
    if keras.backend.backend() != "tensorflow":
        return partial(predict_images, network, mirror=mirror)
    from facetag.vision.inference.graph_export import on_gpu
    from facetag.vision.inference.openvino_conversion import convert_network
    from facetag.vision.inference.precision import fastest_float

    precision = "float32" if on_gpu() else fastest_float()
    compiled = convert_network(network, spec, mirror=mirror, precision=precision)

    def read(crops: npt.NDArray[np.uint8]) -> Outputs:
        return compiled.predict(crops)

    return read
