"""Read each image of a retraining once with each bundle, and keep the outputs.

The champion's outputs are lessons for the candidate, the check of new labels and one side of the
comparison. The candidate's outputs serve its calibration and the other side.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
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
from facetag_trainer.retraining.fast_reader import compile_reader

Mask = npt.NDArray[np.bool_]


class OutputCache:
    """The outputs of bundles for the images of one retraining; a killed one finds them again."""

    def __init__(
        self,
        folder: Path,
        *,
        on_read: OnRead = lambda done, total: None,
        on_rate: Callable[[float], None] = lambda images_per_s: None,
    ) -> None:
        """`on_rate` gets the images read per second, as soon as it is known."""
        self._folder = folder
        self._on_read = on_read
        self._on_rate = on_rate
        self._rate_known = False
        self._readers: dict[str, ReadCrops] = {}
        """The last bundle's compiled network alone."""

    def read(
        self, bundle: Bundle, cache: CropCache, members: Mask | None = None, *, spoil: bool = False
    ) -> Outputs:
        """Return uncalibrated outputs (m, units) per head for a cache's images of a mask (n,).

        Without a mask, all images are read. The bundle's manifest decides which are read mirrored
        too; with `spoil`, images are made poor as `predict_held_out_crops` does.
        """
        every = np.ones(len(cache.validation), bool)
        members = every if members is None else members
        path, whole = (
            self._folder / f"outputs-{_name(bundle, cache, some, spoil)}.npz"
            for some in (members, every)
        )
        if path.exists():
            return _load(path, bundle)
        if whole.exists():
            return {name: values[members] for name, values in _load(whole, bundle).items()}
        outputs = read_held_out_crops(
            self._reader(bundle),
            bundle.spec,
            replace(cache, validation=members),
            spoil=spoil,
            on_read=self._timed(),
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        with atomic_open(path, sole_writer=True) as file:
            np.savez(file, **outputs)  # type: ignore[arg-type]
        return outputs

    def _reader(self, bundle: Bundle) -> ReadCrops:
        key = f"{bundle.version} {bundle.mirror}"
        if key not in self._readers:
            reader = compile_reader(bundle.load_network(), bundle.spec, bundle.mirror)
            self._readers = {key: reader}
        return self._readers[key]

    def _timed(self) -> OnRead:
        started: list[tuple[float, int]] = []

        def on_read(done: int, total: int) -> None:
            now = time.monotonic()
            if started and not self._rate_known:
                # The first batch takes longer: the network is compiled with it.
                began, before = started[0]
                self._rate_known = True
                self._on_rate((done - before) / max(now - began, 1e-9))
            started.append((now, done))
            self._on_read(done, total)

        return on_read


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
