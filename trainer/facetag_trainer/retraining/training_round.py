"""Examine rounds: shards that are learnt together, the images that are used, and their crop cache.

A round's images and parts are decided once, when it is examined, and recorded in the ledger. Its
cache can be made again from the shards and that record, on any machine.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from facetag.errors import ImageUnreadable
from facetag.retraining.domains import name_domain
from facetag.retraining.ledger import TEST, TRAINING, LedgerImage
from facetag.vision.difference_hash import HASH_BYTES, Hashes
from facetag_trainer.data.cache_preparation import PreparePlan, read_clean_set
from facetag_trainer.data.crop_cache import CropCache, cache_key, name_of, open_cache, write_cache
from facetag_trainer.data.shard_index import ShardIndex, shards_of_images
from facetag_trainer.data.shards import Sample, name_apart
from facetag_trainer.data.splits import hold_out, image_digests, look_alikes, split_held_out

JUDGING = 300
"""Held-out images that a comparison on new images wants: three quarters of them judge."""
LARGEST_SHARE = 0.3
"""Largest share of a new round that is held out for that."""
NOTHING_DECIDED: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Round:
    """Shards (SHA-256 to name) and, in order, the parts of their images that are used."""

    shards: Mapping[str, str]
    parts: Mapping[str, str]
    """SHA-256 of an image to its part."""
    domain: str
    """The collection that the images come from."""


@dataclass(frozen=True, slots=True)
class Examined:
    """A round with its samples in memory, and the number of dropped images per reason."""

    round: Round
    samples: list[Sample] = field(repr=False)
    hashes: Hashes
    shard_of: Mapping[str, str] = field(repr=False)
    """SHA-256 of an image to that of the first shard that holds it."""
    dropped: Counter[str] = field(default_factory=Counter)

    def ledger_images(self) -> list[LedgerImage]:
        """Return the images as the ledger records them."""
        return [
            LedgerImage(self.shard_of[digest], digest, one.tobytes(), part)
            for (digest, part), one in zip(self.round.parts.items(), self.hashes, strict=True)
        ]


def examine_shards(
    shards: Sequence[ShardIndex],
    plan: PreparePlan,
    *,
    known: Hashes,
    left_out: Collection[str] = (),
    decided: Mapping[str, str] = NOTHING_DECIDED,
    hold_out_at_least: int = 0,
    held_out: Mapping[str, str] | None = None,
    domain: str | None = None,
) -> Examined:
    """Read shards, drop known images, and decide each image's part by its content.

    Near twins of the difference hashes `known` (m, 32) are dropped, and so are the images
    `left_out` (SHA-256). Images keep the part that was `decided` for them before (SHA-256 to part):
    a bundle may have been fitted on them. Of others, those that a bundle `held_out` are (digest to
    part, from `read_held_out`). Where it does not say, the plan's share is, or so much more that
    about `hold_out_at_least` images are, up to LARGEST_SHARE. Without a `domain`, the first
    shard's name gives it. Raises ShardUnreadable if a shard cannot be read.
    """
    cleaned, hashes = read_clean_set(shards)
    dropped = Counter(cleaned.dropped)
    forbidden = np.array([one.sha256 in left_out for one in cleaned.samples], bool)
    twins = look_alikes(hashes.reshape(-1, known.shape[1]), known) & ~forbidden
    dropped["image of a test set or a holdout"] += int(forbidden.sum())
    dropped["near twin of a known image"] += int(twins.sum())
    kept = np.flatnonzero(~(forbidden | twins))
    samples, hashes = [cleaned.samples[index] for index in kept], hashes[kept]
    wanted = min(LARGEST_SHARE, hold_out_at_least / max(1, len(samples)))
    parts = (
        _decide_parts(samples, hashes, max(plan.validation_share, wanted))
        if held_out is None
        else [held_out.get(digest, TRAINING) for digest in image_digests(hashes)]
    )
    used = {
        one.sha256: decided.get(one.sha256, part) for one, part in zip(samples, parts, strict=True)
    }
    names, shard_of = name_shards(shards), _shard_digests(shards)
    return Examined(
        Round(names, used, domain or _first_domain(names)), samples, hashes, shard_of, +dropped
    )


def examine_tests(shards: Sequence[ShardIndex]) -> Examined:
    """Read test sets: every labelled image that can be decoded, identical images once."""
    samples: dict[str, Sample] = {}
    hashes = []
    for digest, shard in shards_of_images(shards).items():
        try:
            hashes.append(shard.hash_image(shard.samples[digest]))
        except ImageUnreadable:
            continue
        samples[digest] = shard.samples[digest]
    names = name_shards(shards)
    tests = Round(names, dict.fromkeys(samples, TEST), _first_domain(names))
    found = np.array(hashes, np.uint8).reshape(-1, HASH_BYTES)
    return Examined(tests, list(samples.values()), found, _shard_digests(shards))


def _first_domain(names: Mapping[str, str]) -> str:
    return name_domain(next(iter(names.values())))


def name_shards(shards: Sequence[ShardIndex]) -> dict[str, str]:
    """Return the shards' names by SHA-256."""
    return {shard.sha256: shard.name for shard in shards}


def _shard_digests(shards: Sequence[ShardIndex]) -> dict[str, str]:
    return {digest: shard.sha256 for digest, shard in shards_of_images(shards).items()}


def _decide_parts(samples: Sequence[Sample], hashes: Hashes, share: float) -> list[str]:
    parts = np.full(len(samples), TRAINING, "<U16")
    if samples:
        validation = hold_out(samples, hashes, share)
        if validation.any():
            parts[validation] = split_held_out(hashes[validation])
    return [str(part) for part in parts]


def find_round_cache(one: Round, root: Path, plan: PreparePlan) -> CropCache | None:
    """Return the round's crop cache below `root`, or that of `facetag train`; None if missing."""
    for folder in (_plain_folder(one, root, plan), _own_folder(one, root, plan)):
        if (folder / "cache.json").exists():
            cache = open_cache(folder)
            # Caches hold only images of these shards: the same number means the same images. The
            # images held out with a smaller share are among those of a larger one.
            held_out = sum(part != TRAINING for part in one.parts.values())
            if (len(cache.validation), int(cache.validation.sum())) == (len(one.parts), held_out):
                return cache
    return None


def cut_round(
    one: Round,
    samples: Sequence[Sample],
    hashes: Hashes,
    root: Path,
    plan: PreparePlan,
    *,
    on_progress: Callable[[int], None] = lambda done: None,
) -> CropCache:
    """Write the round's crop cache from the samples of `examine_shards`, and open it."""
    folder = _own_folder(one, root, plan)
    write_cache(
        folder,
        samples,
        hashes=hashes,
        validation=np.array([part != TRAINING for part in one.parts.values()], bool),
        rule=plan.rule,
        size=plan.size,
        settings=plan.settings,
        facts={
            "shards": name_apart((name, digest) for digest, name in one.shards.items()),
            "dropped": {},
        },
        on_progress=on_progress,
    )
    return open_cache(folder)


def read_round(one: Round, shards: Sequence[ShardIndex]) -> tuple[list[Sample], Hashes]:
    """Return the samples and hashes of a recorded round, in the order of its shards."""
    cleaned, hashes = read_clean_set(shards)
    kept = [index for index, item in enumerate(cleaned.samples) if item.sha256 in one.parts]
    return [cleaned.samples[index] for index in kept], hashes[kept]


def order_parts(one: Round, samples: Sequence[Sample]) -> Round:
    """Return the round with its parts in the order of the samples."""
    return replace(one, parts={item.sha256: one.parts[item.sha256] for item in samples})


def to_hashes(values: Sequence[bytes]) -> Hashes:
    """Return the ledger's difference hashes as an array (n, 32)."""
    return np.frombuffer(b"".join(values), np.uint8).reshape(-1, HASH_BYTES)


def _plain_folder(one: Round, root: Path, plan: PreparePlan) -> Path:
    return root / cache_key(
        list(one.shards), plan.rule, plan.size, plan.validation_share, plan.settings
    )


def _own_folder(one: Round, root: Path, plan: PreparePlan) -> Path:
    content = [sorted(one.shards), sorted(one.parts.items())]
    return root / f"round-{name_of(content, plan.rule, plan.size, plan.settings)}"
