"""Measure how many faces and non-faces the detector finds at each confidence bound.

Face chips of a labelled shard are pasted into scenes without other faces, as `benchmarks.scenes`
does, and the detector runs over the scenes once. Choose the bound on a training shard, never on a
test shard.

    python -m benchmarks.network.confidence path/to/part-1.tar
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.scenes import FOUND_IOU, Pasted, write_scenes
from facetag.vision.detection import Detection
from facetag.vision.mtcnn.boxes import overlaps
from facetag.vision.mtcnn.detector import Detector
from facetag.vision.network_loader import compile_cascade
from facetag_trainer.data.shards import Sample, read_shards

BOUNDS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
BATCH = 8
MIN_FACE = 0.04


@click.command(help=__doc__)
@click.argument("shard", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--chips", type=int, default=800, show_default=True, help="Face chips to paste.")
@click.option(
    "--seed", type=int, default=11, show_default=True, help="Another seed makes other scenes."
)
def main(shard: Path, chips: int, seed: int) -> None:
    """Make the scenes, detect faces, and print a line per bound."""
    rng = np.random.default_rng(seed)
    samples = [item for item in read_shards([shard]) if isinstance(item, Sample)]
    picked = [samples[index] for index in rng.permutation(len(samples))[:chips]]
    chip_scores: list[float] = []
    other_scores: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "scenes"
        scenes = list(write_scenes(picked, root, rng))
        detector = Detector(compile_cascade(), min_face=MIN_FACE, confidence=min(BOUNDS))
        for start in range(0, len(scenes), BATCH):
            part = scenes[start : start + BATCH]
            photos = [np.asarray(Image.open(root / name).convert("RGB")) for name, _ in part]
            for (_, pasted), faces in zip(part, detector.detect(photos), strict=True):
                found, others = _split(pasted, faces)
                chip_scores += found.tolist()
                other_scores += others.tolist()
    for bound in BOUNDS:
        found_count = int((np.array(chip_scores) > bound).sum())
        others_count = int((np.array(other_scores) > bound).sum())
        click.echo(
            f"above {bound}: {found_count} of {len(picked)} chips found, "
            f"{others_count} faces without a chip"
        )


def _split(
    pasted: Sequence[Pasted], faces: Sequence[Detection]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the best confidence at each chip (0 if not found), and those of all other faces."""
    if not faces:
        return np.zeros(len(pasted), np.float32), np.zeros(0, np.float32)
    scores = np.array([face.confidence for face in faces], np.float32)
    chips = np.array([chip.box for chip in pasted], np.float32)
    shared = overlaps(chips, np.array([face.box for face in faces], np.float32)) >= FOUND_IOU
    return (shared * scores).max(axis=1), scores[~shared.any(axis=0)]


if __name__ == "__main__":
    main()
