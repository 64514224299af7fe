"""Which samples are held out: fixed by content, with look-alikes on one side.

Two images look alike where their 256-bit difference hashes differ in at most 16 bits. Look-alikes
form groups (transitively), and a group's side follows from the least SHA-256 among its members, so
the split depends on neither order, names nor machine.

What is held out answers three questions, each on images of its own: which network (validation),
how sure it may say it is (calibration), and what came of both (holdout). Half goes to the second:
it states a number of its own, that 80% of ages lie in their range, which 950 images tell within 1.3
points (one standard deviation) and a quarter of the tenth within 1.8. Choosing compares networks on
the same images, where a quarter tells more; and the holdout has no part in any choice.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from facetag_trainer.data.shards import Sample

HASH_BYTES = 32
LOOK_ALIKE_BITS = 16
VALIDATION, CALIBRATION, HOLDOUT = "validation", "calibration", "holdout"
PART_SHARES = {VALIDATION: 1 / 4, CALIBRATION: 1 / 2, HOLDOUT: 1 / 4}
Hashes = npt.NDArray[np.uint8]


def difference_hash(photo: npt.NDArray[np.uint8]) -> Hashes:
    """Return the 256-bit difference hash of a photo (height, width, 3), packed to 32 bytes."""
    grey = Image.fromarray(photo).convert("L")
    small = np.asarray(grey.resize((17, 16), Image.Resampling.BOX))
    return np.packbits(small[:, 1:] > small[:, :-1])


def look_alikes(hashes: Hashes, others: Hashes) -> npt.NDArray[np.bool_]:
    """Return which of `hashes` (n, 32) have a look-alike among `others` (m, 32), as (n,)."""
    return np.array([bool(np.any(_distances(one, others) <= LOOK_ALIKE_BITS)) for one in hashes])


def group_look_alikes(
    hashes: Hashes, *, on_progress: Callable[[int], None] = lambda done: None
) -> list[int]:
    """Return for each image (n, 32) the index of its group's first member."""
    rows: list[npt.NDArray[np.intp]] = []
    columns: list[npt.NDArray[np.intp]] = []
    for index in range(1, len(hashes)):
        near = np.flatnonzero(_distances(hashes[index], hashes[:index]) <= LOOK_ALIKE_BITS)
        rows.append(np.full(len(near), index))
        columns.append(near)
        on_progress(index + 1)
    if not rows:
        return list(range(len(hashes)))
    pairs = np.concatenate(rows), np.concatenate(columns)
    alike = coo_array((np.ones(len(pairs[0]), bool), pairs), shape=(len(hashes), len(hashes)))
    _, groups = connected_components(alike, directed=False)
    _, first = np.unique(groups, return_index=True)
    members: list[int] = first[groups].tolist()
    return members


def hold_out(samples: Sequence[Sample], hashes: Hashes, share: float) -> npt.NDArray[np.bool_]:
    """Return which samples (n,) are held out for validation: about `share` of them."""
    return _group_places(hashes, [sample.sha256 for sample in samples]) < share


@dataclass(frozen=True, slots=True)
class Fold:
    """One of the parts that the images to fit on are split into: the `number`-th, from 1, of `of`.

    Raises ValueError for what is none.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if self.of < 2 or not 1 <= self.number <= self.of:
            raise ValueError(f"{self} is no fold: write the first of five as 1/5.")

    @classmethod
    def parse(cls, text: str) -> "Fold":
        """Return the fold that is written as 1/5; raises ValueError for what is none."""
        number, _, of = text.partition("/")
        return cls(int(number), int(of))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def split_folds(hashes: Hashes, of: int) -> npt.NDArray[np.intp]:
    """Return the number from 1 to `of` of the fold that each image (n, 32) is in, as (n,)."""
    return (_group_places(hashes, _digests(hashes)) * of).astype(np.intp) + 1


def split_held_out(hashes: Hashes) -> npt.NDArray[np.str_]:
    """Return the part, a key of PART_SHARES, of each held-out image (n, 32), as (n,).

    It follows from the look-alikes' least SHA-256 of a difference hash, which crop caches hold, and
    is independent of what decides that an image is held out.
    """
    edges = np.cumsum(list(PART_SHARES.values()))
    places = _group_places(hashes, _digests(hashes))
    parts = np.searchsorted(edges[:-1], places, side="right")
    return np.array(list(PART_SHARES))[parts]


def _digests(hashes: Hashes) -> list[str]:
    return [hashlib.sha256(one.tobytes()).hexdigest() for one in hashes]


def _group_places(hashes: Hashes, digests: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return a number in 0..1 for each image (n, 32): from the least digest of its look-alikes."""
    groups = group_look_alikes(hashes)
    least: dict[int, str] = {}
    for digest, group in zip(digests, groups, strict=True):
        least[group] = min(least.get(group, digest), digest)
    return np.array([int(least[group][:8], 16) / 2**32 for group in groups])


def _distances(one: Hashes, others: Hashes) -> npt.NDArray[np.int64]:
    # Eight bytes at a time: every image is compared with every other.
    words = (others ^ one).view(np.uint64)
    result: npt.NDArray[np.int64] = np.bitwise_count(words).sum(axis=1, dtype=np.int64)
    return result
