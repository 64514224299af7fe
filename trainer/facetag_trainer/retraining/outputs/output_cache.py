"""Read each image of a retraining once with each bundle, and keep the outputs.

The champion's outputs are lessons for the candidate, the check of new labels and one side of the
comparison. The candidate's outputs serve its calibration and the other side.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facetag.atomic_write import atomic_open
from facetag.vision.bundle import Bundle
from facetag.vision.network.calibration import Values
from facetag.vision.network.mirror_averaging import Outputs
from facetag_trainer.calibration.bundle_calibration import (
    OnRead,
    ReadCrops,
    read_held_out_crops,
)
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.retraining.outputs.fast_reader import compile_reader

Mask = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Pace:
    """The speed of this machine: images read per second, and seconds to compile a network."""

    images_per_s: float
    compile_s: float


class OutputCache:
    """The outputs of bundles for the images of one retraining; a killed one finds them again."""

    def __init__(
        self,
        folder: Path,
        *,
        on_read: OnRead = lambda done, total: None,
        on_pace: Callable[[Pace], None] = lambda pace: None,
    ) -> None:
        """`on_pace` gets the speed of reading, as soon as it is known: once, in the first read."""
        self._folder = folder
        self._on_read = on_read
        self._on_pace = on_pace
        self._pace_known = False
        self._compile_s = 0.0
        self._done = self._announced = 0
        self._readers: dict[str, ReadCrops] = {}
        """The last bundle's compiled network alone."""

    def read(
        self, bundle: Bundle, cache: CropCache, members: Mask | None = None, *, spoil: bool = False
    ) -> Outputs:
        """Return uncalibrated outputs (m, units) per head for a cache's images of a mask (n,).

        Without a mask, all images are read. The bundle's manifest decides which are read mirrored
        too; with `spoil`, images are made poor as `predict_held_out_crops` does.
        """
        members = np.ones(len(cache.validation), bool) if members is None else members
        path, whole = self._places(bundle, cache, members, spoil=spoil)
        if path.exists():
            return _load(path, bundle)
        if whole.exists():
            return {name: values[members] for name, values in _load(whole, bundle).items()}
        reader, count, began = self._reader(bundle), int(members.sum()), time.monotonic()
        outputs = read_held_out_crops(
            reader,
            bundle.spec,
            replace(cache, validation=members),
            spoil=spoil,
            on_read=self._timed(),
        )
        self._done += count
        if count:
            self._tell_pace(count, began)
        self._folder.mkdir(parents=True, exist_ok=True)
        with atomic_open(path, sole_writer=True) as file:
            np.savez(file, **outputs)  # type: ignore[arg-type]
        return outputs

    def read_shown(self, bundle: Bundle, crops: Iterable[Pixels], total: int) -> Outputs:
        """Return uncalibrated outputs (total, units) per head for batches (n, size, size, 3).

        They are not kept.
        """
        reader, on_read, parts, done = self._reader(bundle), self._timed(), [], 0
        for batch in crops:
            parts.append(reader(batch))
            done += len(batch)
            on_read(done, total)
        return join_outputs(parts)

    def announce(self, wanted: Iterable[tuple[Bundle, CropCache, Mask]]) -> None:
        """Say what will be read, so that `on_read` counts what is unknown of it as one work."""
        unread = {}
        for bundle, cache, members in wanted:
            path, whole = self._places(bundle, cache, members, spoil=False)
            if not path.exists() and not whole.exists():
                unread[path] = int(members.sum())
        self._done, self._announced = 0, sum(unread.values())

    def _places(
        self, bundle: Bundle, cache: CropCache, members: Mask, *, spoil: bool
    ) -> tuple[Path, Path]:
        """Return the files of the outputs for these images and for all of the cache."""
        one, other = (
            self._folder / f"outputs-{_name(bundle, cache, some, spoil)}.npz"
            for some in (members, np.ones_like(members))
        )
        return one, other

    def _reader(self, bundle: Bundle) -> ReadCrops:
        key = f"{bundle.version} {bundle.mirror}"
        if key not in self._readers:
            began = time.monotonic()
            reader = compile_reader(bundle.load_network(), bundle.spec, bundle.mirror)
            self._compile_s = time.monotonic() - began
            self._readers = {key: reader}
        return self._readers[key]

    def _timed(self) -> OnRead:
        started: list[tuple[float, int]] = []

        def on_read(done: int, total: int) -> None:
            if started:
                # The first batch takes longer: the network warms up with it.
                began, before = started[0]
                self._tell_pace(done - before, began)
            started.append((time.monotonic(), done))
            if self._announced:
                done, total = self._done + done, max(self._announced, self._done + total)
            self._on_read(done, total)

        return on_read

    def _tell_pace(self, images: int, began: float) -> None:
        if not self._pace_known:
            self._pace_known = True
            rate = images / max(time.monotonic() - began, 1e-9)
            self._on_pace(Pace(rate, self._compile_s))


def join_outputs(parts: Sequence[Mapping[str, Values]]) -> Outputs:
    """Return columns (n,) or (n, units) per head of several parts, one after the other."""
    return {name: np.concatenate([one[name] for one in parts]) for name in parts[0]}


def _load(path: Path, bundle: Bundle) -> Outputs:
    with np.load(path) as kept:
        return {name: kept[name] for name in bundle.spec.heads}


def _name(bundle: Bundle, cache: CropCache, members: Mask, spoil: bool) -> str:
    content = hashlib.sha256(np.ascontiguousarray(cache.hashes[members]).tobytes()).hexdigest()
    shards = sorted(cache.facts["shards"].values())
    facts = [bundle.manifest["weights_sha256"], bundle.mirror.to_json(), spoil, shards, content]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
