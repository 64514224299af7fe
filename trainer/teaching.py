"""Teachers: bundles fitted before, whose answers are a part of what a network is fitted to.

Several teachers are distilled into one network that way (Hinton et al. 2015, arXiv:1503.02531), and
a network that is taught by its like outdoes it (Furlanello et al. 2018, arXiv:1805.04770): answers
smooth what labellers got wrong. Backend-neutral.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from facetag.errors import FacetagError
from facetag.heads import HEADS_BY_NAME
from trainer.augment import centre_crop
from trainer.calibration import predict_images
from trainer.crop_cache import CropCache
from trainer.softening import to_probabilities
from vision.bundle import Bundle
from vision.mirroring import Mirroring

BATCH = 64
FILE = "answers.npz"
Values = npt.NDArray[np.float32]
Columns = Mapping[str, Values]


@dataclass(frozen=True, slots=True)
class Lessons:
    """The teachers' mean answers (n, units) a head for a cache's images; NaN where not asked."""

    answers: Columns
    share: float
    """Of a target that is the answer; the rest is the label."""

    def teach(
        self, targets: Columns, weights: Columns, indices: npt.NDArray[np.intp]
    ) -> tuple[dict[str, Values], dict[str, Values]]:
        """Return a batch's targets and weights (n,) a head with the answers' part in them.

        A categorical target becomes (n, units). Where the label is missing, which weighs 0, the
        answer stands for all of it.
        """
        taught, weighed = dict(targets), dict(weights)
        for name, answers in self.answers.items():
            answer, categorical = answers[indices], HEADS_BY_NAME[name].kind == "categorical"
            labelled = (weights[name] > 0)[:, None]
            label = to_probabilities(name, targets[name]) if categorical else targets[name][:, None]
            mean = (1 - self.share) * label + self.share * answer
            blend = np.where(labelled, mean, answer).astype(np.float32)
            taught[name] = blend if categorical else blend[:, 0]
            weighed[name] = np.where(labelled[:, 0], weights[name], np.float32(self.share))
        return taught, weighed


def ask_teachers(
    teachers: Sequence[Bundle],
    cache: CropCache,
    heads: Sequence[str],
    folder: Path,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Values]:
    """Return the teachers' mean answers (n, units) a head for the training images of a cache.

    They are calibrated, and means over an image and its mirror image, without jitter. What is not
    fitted on has NaN. Kept in `folder`, so that a resumed run need not ask again. Raises
    FacetagError for a teacher that reads other crops than the cache's, or another set of heads.
    """
    for teacher in teachers:
        _require_same_crops(teacher, cache, heads)
    path = folder / FILE
    if path.exists():
        with np.load(path) as kept:
            return {name: kept[name] for name in heads}
    asked = np.flatnonzero(~cache.validation)
    answers = {
        name: np.full((len(cache.crops), HEADS_BY_NAME[name].units), np.nan, np.float32)
        for name in heads
    }
    for number, teacher in enumerate(teachers):
        for done, part, outputs in _answer(teacher, cache, asked):
            for name, values in answers.items():
                before = 0 if number == 0 else values[part]
                values[part] = before + outputs[name] / len(teachers)
            on_progress(number * len(asked) + done, len(teachers) * len(asked))
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, **answers)  # type: ignore[arg-type]
    partial.replace(path)
    return answers


def _require_same_crops(teacher: Bundle, cache: CropCache, heads: Sequence[str]) -> None:
    if teacher.crop_rule.to_json() != cache.facts["crop"]:
        raise FacetagError(f"{teacher.folder} reads other crops than these: it cannot teach them.")
    if missing := [name for name in heads if name not in teacher.spec.heads]:
        raise FacetagError(
            f"{teacher.folder} says nothing of {', '.join(missing)}: give another --teacher."
        )


def _answer(
    teacher: Bundle, cache: CropCache, indices: npt.NDArray[np.intp]
) -> Iterator[tuple[int, npt.NDArray[np.intp], dict[str, Values]]]:
    """Yield how many are done, the places of a batch, and the teacher's outputs for it."""
    network, size = teacher.load_network(), teacher.spec.input_size
    for start in range(0, len(indices), BATCH):
        part = indices[start : start + BATCH]
        crops = [_at_size(centre_crop(cache.crops[each], cache.size), size) for each in part]
        images = np.stack(crops).astype(np.float32)
        outputs = predict_images(network, images, mirror=Mirroring(always=True))
        yield start + len(part), part, teacher.calibration.apply(outputs)


def _at_size(crop: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    if crop.shape[0] == size:
        return crop
    resized = Image.fromarray(crop).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(resized)
