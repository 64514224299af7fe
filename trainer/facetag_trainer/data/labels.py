"""Labels of many samples as arrays, and as the groups of reports."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from facetag.heads import HEADS_BY_NAME
from facetag.results.collection_counts import AGE_BINS, age_bin
from facetag_trainer.data.shards import Sample

LabelValues = npt.NDArray[np.float32]


def label_arrays(samples: Sequence[Sample], heads: Sequence[str]) -> dict[str, LabelValues]:
    """Return the samples' labels per head as (n,), NaN where missing."""
    return {
        name: np.array([sample.labels.get(name, np.nan) for sample in samples], np.float32)
        for name in heads
    }


def group_names(head: str) -> tuple[str, ...]:
    """Return the names of a head's groups: its labels, or the bands of ages."""
    return HEADS_BY_NAME[head].labels or AGE_BINS


def group_codes(head: str, values: LabelValues) -> npt.NDArray[np.intp]:
    """Return each image's index (n,) in `group_names`, -1 where its label is missing."""
    place = age_bin if HEADS_BY_NAME[head].kind == "regression" else int
    return np.array([-1 if np.isnan(value) else place(float(value)) for value in values], np.intp)
