"""Read the file in which `facetag teach` keeps what teachers said of the images of shards."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facetag.errors import FacetagError
from facetag_trainer.data.crop_cache import CropCache

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Descriptors (n, 128) of a cache's images, of mean 0 and spread 1 over those to fit on, and
    answers (n, units) a head.
    """

    descriptors: Values
    answers: Mapping[str, Values]


def read_knowledge(path: Path, cache: CropCache) -> Knowledge:
    """Read what `facetag teach` wrote about the images of a cache.

    Raises FacetagError for another kind of file, and for one about other images.
    """
    try:
        with np.load(path) as kept:
            hashes, descriptors = kept["hashes"], kept["descriptors"].astype(np.float32)
            answers = {name: kept[name] for name in ("age", "gender", "race") if name in kept}
    except (OSError, EOFError, TypeError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise FacetagError(
            f"{path} is not a file of `facetag teach`: make one with `facetag teach SHARD...`."
        ) from error
    if not np.array_equal(hashes, cache.hashes):
        raise FacetagError(f"{path} is about other images: give the shards that it was made of.")
    fitted = descriptors[~cache.validation]
    # One spread for all: a direction in which faces differ little weighs little.
    spread = fitted.std(axis=0).mean()
    return Knowledge((descriptors - fitted.mean(axis=0)) / spread, answers)
