"""Ask a bundle about the images of labelled shards, which may be blurred first."""

import io
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from facetag.quantification.groupings import codes_of_ages
from facetag.quantification.held_out_answers import Answers, HeldOut
from facetag.settings import load_settings
from facetag.vision.bundle import open_bundle
from facetag_trainer.data.shards import Sample, read_shards
from facetag_trainer.evaluation.bundle_evaluation import evaluate_bundle


def answer_shards(shards: Sequence[Path], model: Path, blur: float) -> HeldOut:
    """Return what the bundle says of the shards' fully labelled images, seen as in the service."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [_blurred(shards, Path(folder), blur)] if blur else list(shards)
        found = evaluate_bundle(open_bundle(model), paths, load_settings())
    known = np.flatnonzero(~np.any([np.isnan(one) for one in found.labels.values()], axis=0))
    outputs = {name: values.astype(np.float64) for name, values in found.outputs.items()}
    labels = {name: values[known] for name, values in found.labels.items()}
    return HeldOut(
        Answers(outputs["gender"][known, 0], outputs["race"][known], outputs["age"][known, 0]),
        {
            "gender": labels["gender"].astype(np.intp),
            "race": labels["race"].astype(np.intp),
            **codes_of_ages(labels["age"].astype(np.float64)),
        },
    )


def _blurred(shards: Sequence[Path], folder: Path, radius: float) -> Path:
    path = folder / "blurred.tar"
    with tarfile.open(path, "w") as archive:
        for item in read_shards(shards):
            if not isinstance(item, Sample):
                continue
            photo = Image.open(io.BytesIO(item.data)).convert("RGB")
            buffer = io.BytesIO()
            photo.filter(ImageFilter.GaussianBlur(radius)).save(buffer, "JPEG", quality=90)
            member = tarfile.TarInfo(Path(item.name).name)
            member.size = buffer.tell()
            archive.addfile(member, io.BytesIO(buffer.getvalue()))
    return path
