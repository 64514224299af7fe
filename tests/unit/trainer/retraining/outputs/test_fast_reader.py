"""Reading by a compiled network gives what Keras gives."""

import numpy as np
import pytest

from facetag.vision.network.mirror_averaging import Mirroring
from facetag_trainer.calibration.bundle_calibration import predict_images
from facetag_trainer.retraining.outputs.fast_reader import compile_reader

pytestmark = pytest.mark.timeout(300)


def test_a_compiled_network_reads_as_keras_does(tiny_network, tiny_spec):
    size = tiny_spec.input_size
    crops = np.random.default_rng(1).integers(0, 256, (20, size, size, 3)).astype(np.uint8)
    mirror = Mirroring(always=True)
    expected = predict_images(tiny_network, crops, mirror=mirror)
    found = compile_reader(tiny_network, tiny_spec, mirror)(crops)
    assert set(found) == set(expected)
    for name, values in expected.items():
        # The features may be computed in bfloat16.
        np.testing.assert_allclose(found[name], values, rtol=0.02, atol=0.02)
