"""Distil teachers into a network: the answers of fitted bundles are a share of its targets.

Several teachers can be distilled into one network (Hinton et al. 2015, arXiv:1503.02531), and a
network can outdo a teacher of its own kind (Furlanello et al. 2018, arXiv:1805.04770), since
answers smooth the errors of labellers. It works on any Keras backend.
"""

import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from facetag.atomic_write import atomic_open
from facetag.errors import FacetagError
from facetag.heads import HEADS_BY_NAME
from facetag.vision.bundle import Bundle
from facetag.vision.network.mirror_averaging import Mirroring
from facetag_trainer.calibration.bundle_calibration import predict_images
from facetag_trainer.data.augmentation import centre_crop
from facetag_trainer.data.crop_cache import CropCache, in_fold
from facetag_trainer.data.splits import Fold
from facetag_trainer.fit.descriptor_head import DESCRIPTOR
from facetag_trainer.fit.mixup import Columns, to_probabilities

BATCH = 64
ANSWERS = "answers.npz"
Answers = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Lessons:
    """The teachers' mean answers (n, units) per head for a cache's images; NaN if held out."""

    answers: Columns
    share: float | Answers
    """Share of a target that is the answer, the same for all images or one for each (n,); the rest
    is the label."""
    descriptors: Answers | None = None
    """Face descriptors (n, units) of the cache's images, which a head of their own learns."""

    def teach(
        self, targets: Columns, weights: Columns, indices: npt.NDArray[np.intp]
    ) -> tuple[dict[str, Answers], dict[str, Answers]]:
        """Return a batch's targets and weights (n,) per head with the answers blended in.

        Categorical targets become (n, units). If a label is missing, which shows by its weight of
        0, the answer is the whole target.
        """
        taught, weighed = dict(targets), dict(weights)
        if isinstance(self.share, np.ndarray):
            share = self.share[indices][:, None]
        else:
            share = np.full((len(indices), 1), self.share, np.float32)
        for name, answers in self.answers.items():
            answer, categorical = answers[indices], HEADS_BY_NAME[name].kind == "categorical"
            labelled = (weights[name] > 0)[:, None]
            label = to_probabilities(name, targets[name]) if categorical else targets[name][:, None]
            mean = (1 - share) * label + share * answer
            blend = np.where(labelled, mean, answer).astype(np.float32)
            taught[name] = blend if categorical else blend[:, 0]
            weighed[name] = np.where(labelled[:, 0], weights[name], share[:, 0])
        if self.descriptors is not None:
            taught[DESCRIPTOR] = self.descriptors[indices]
            weighed[DESCRIPTOR] = np.ones(len(indices), np.float32)
        return taught, weighed


def ask_teachers(
    teachers: Sequence[Bundle],
    cache: CropCache,
    heads: Sequence[str],
    folder: Path,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Answers]:
    """Return the teachers' mean answers (n, units) per head for the training images of a cache.

    Answers are calibrated, and are means over an image and its mirror image, without jitter. A
    teacher that was fitted without a fold answers for that fold alone, whose labels it has never
    seen. Held-out images have NaN. The answers are kept in `folder`, so that a resumed run need not
    ask again. Raises FacetagError for a teacher that reads other crops or lacks a head, and if
    folds leave images without a teacher.
    """
    for teacher in teachers:
        _require_same_crops(teacher, cache, heads)
    path = folder / ANSWERS
    if path.exists():
        return read_answers(path, cache, heads)
    asked = [_may_answer(teacher, cache) for teacher in teachers]
    # Held-out images, for which no teacher is asked, get NaN.
    counts = np.array(asked).sum(axis=0, dtype=np.float32)[:, None]
    if not counts[~cache.validation].all():
        missing = int((counts[~cache.validation] == 0).sum())
        raise FacetagError(
            f"No teacher answers for {missing} training images: give the teachers of all folds."
        )
    counts[cache.validation] = np.nan
    answers: dict[str, Answers] = {
        name: np.zeros((len(cache.crops), HEADS_BY_NAME[name].units), np.float32) / counts
        for name in heads
    }
    before, total = 0, int(np.sum(asked))
    for teacher, mask in zip(teachers, asked, strict=True):
        for done, part, outputs in _answer(teacher, cache, np.flatnonzero(mask)):
            for name, values in answers.items():
                values[part] += outputs[name] / counts[part]
            on_progress(before + done, total)
        before += int(mask.sum())
    _save_answers(path, answers)
    return answers


def write_answers(path: Path, answers: Columns, cache: CropCache) -> None:
    """Keep a teacher's answers (m, units) per head for a cache's m training images.

    `ask_teachers` takes them from the file `ANSWERS` in its folder instead of asking.
    """
    whole: dict[str, Answers] = {
        name: np.full((len(cache.validation), values.shape[1]), np.nan, np.float32)
        for name, values in answers.items()
    }
    for name, values in answers.items():
        whole[name][~cache.validation] = values
    _save_answers(path, whole)


def _save_answers(path: Path, answers: Columns) -> None:
    with atomic_open(path, sole_writer=True) as file:
        np.savez(file, **answers)  # type: ignore[arg-type]


def read_answers(path: Path, cache: CropCache, heads: Sequence[str]) -> dict[str, Answers]:
    """Return the answers (n, units) per head that `ask_teachers` kept for the same cache.

    Raises FacetagError for another kind of file, and for answers about other images.
    """
    try:
        with np.load(path) as kept:
            answers = {name: kept[name] for name in heads}
    except (OSError, EOFError, TypeError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise FacetagError(
            f"{path} holds no answers of teachers: give RUN/{ANSWERS} of a run with --teacher."
        ) from error
    shapes = {name: (len(cache.crops), HEADS_BY_NAME[name].units) for name in heads}
    if any(
        one.shape != shapes[name] or not np.array_equal(np.isnan(one[:, 0]), cache.validation)
        for name, one in answers.items()
    ):
        raise FacetagError(f"The answers in {path} are about other images: give the same shards.")
    return answers


def _require_same_crops(teacher: Bundle, cache: CropCache, heads: Sequence[str]) -> None:
    if teacher.crop_rule.to_json() != cache.facts["crop"]:
        raise FacetagError(f"{teacher.folder} uses another crop rule: give another --teacher.")
    if missing := [name for name in heads if name not in teacher.spec.heads]:
        raise FacetagError(
            f"{teacher.folder} does not predict {', '.join(missing)}: give another --teacher."
        )


def _may_answer(teacher: Bundle, cache: CropCache) -> npt.NDArray[np.bool_]:
    """Return as (n,) which samples of a cache a teacher may answer for."""
    fold = teacher.manifest.get("training", {}).get("fold")
    if fold is None:
        return ~cache.validation
    shards = {shard["sha256"] for shard in teacher.manifest["shards"]}
    if shards != set(cache.facts["shards"].values()):
        raise FacetagError(
            f"{teacher.folder} left out a fold of other shards: give the same shards."
        )
    return in_fold(cache, Fold.parse(fold))


def _answer(
    teacher: Bundle, cache: CropCache, indices: npt.NDArray[np.intp]
) -> Iterator[tuple[int, npt.NDArray[np.intp], dict[str, Answers]]]:
    """Yield how many images are done, the indices of a batch, and the teacher's outputs for it."""
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
