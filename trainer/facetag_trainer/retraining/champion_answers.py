"""Ask the champion about the images that a retraining fits on: its answers are targets.

A network knows most images that it was fitted on by heart: there its answers repeat the labels, and
say little of how it judges other images. So it is asked about each replayed image in the very view
that the fit shows: turned, shifted and spoiled (as in Beyer et al. 2022, "Knowledge distillation: a
good teacher is patient and consistent", arXiv:2106.05237).
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from facetag.vision.bundle import Bundle
from facetag.vision.network.mirror_averaging import Outputs
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.loop import make_feeder
from facetag_trainer.retraining.material.joined_images import Material
from facetag_trainer.retraining.outputs.output_cache import OutputCache, join_outputs

Answers = dict[str, npt.NDArray[np.float32]]


def ask_champion(
    champion: Bundle,
    new: CropCache,
    earlier: Sequence[CropCache],
    material: Material,
    fit: FitPlan,
    output_cache: OutputCache,
) -> Answers:
    """Return the champion's calibrated answers (m, units) per head for the m training images.

    Images that are shown in the style of new ones are asked about as they are, and so are the new
    ones, which are shown more than once.
    """
    outputs = [
        output_cache.read(champion, cache, np.isin(np.arange(len(cache.validation)), indices))
        for cache, indices in zip(earlier, material.restyled, strict=False)
    ]
    outputs.append(
        {name: one[~new.validation] for name, one in output_cache.read(champion, new).items()}
    )
    if material.as_they_are:
        outputs.insert(0, _read_views(champion, material, fit, output_cache))
    return champion.calibration.apply(join_outputs(outputs))


def _read_views(
    champion: Bundle, material: Material, fit: FitPlan, output_cache: OutputCache
) -> Outputs:
    """Return the champion's outputs for the images that are replayed as they are, as shown."""
    fitting, count = material.fitting, material.as_they_are
    feeder = make_feeder(
        fitting, champion.spec, fit, spread=~material.is_new, transfer=material.transfer
    )
    shown = np.zeros(len(fitting.validation), bool)
    shown[feeder.training[:count]] = True
    order: list[npt.NDArray[np.intp]] = []

    def batches() -> Iterator[npt.NDArray[np.uint8]]:
        for batch in feeder.shown_once(shown):
            order.append(batch.indices)
            yield batch.images.astype(np.uint8)

    outputs = output_cache.read_shown(champion, batches(), count)
    back = np.argsort(np.concatenate(order))
    return {name: values[back] for name, values in outputs.items()}
