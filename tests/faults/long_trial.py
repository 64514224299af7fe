"""Run the long trial, and print what became of images.

It is `python -m tests.faults.long_trial`, or `make faults`.

By default 9,500 images under 180 faults with a labeller that takes 50 ms a photo, then 500 under 20
with the bundle of FACETAG_BUNDLE or models/default; `--seed` decides what happens when. Exit status
1 where an image was lost, doubled, stuck or labelled otherwise than without faults.
"""

import argparse
import io
import json
import random
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image, ImageEnhance
from skimage import data

from tests.faults.fault_harness import REAL_WORKER, FaultHarness, with_lease
from tests.faults.fault_kinds import KINDS, plan_faults
from tests.faults.trial import Verdict, make_photos, run_undisturbed, run_with_faults, store

LOADING_S = 300.0
"""How long nothing may move: a busy machine loads a network for minutes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=9500)
    parser.add_argument("--faults", type=int, default=180)
    parser.add_argument("--bundle-images", type=int, default=500)
    parser.add_argument("--bundle-faults", type=int, default=20)
    parser.add_argument("--photo-s", type=float, default=0.05)
    parser.add_argument("--lease-s", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="keep the servers' data and all logs here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="facetag-faults-") as scratch:
        verdicts = try_all(options, options.keep or Path(scratch))
    print(json.dumps({part: one.to_json() for part, one in verdicts.items()}, indent=2))
    sys.exit(not all(one.sound for one in verdicts.values()))


def try_all(options: argparse.Namespace, folder: Path) -> dict[str, Verdict]:
    """Run the parts that have images, each on servers of its own."""
    verdicts = {}
    if options.images:
        tell(f"{options.images} images, {options.faults} faults of {len(KINDS)} kinds")
        with FaultHarness(folder / "many", **with_lease(options.lease_s)) as fault_harness:
            photos = make_photos(options.images, random.Random(options.seed))
            verdicts["small photos, fake labeller"] = try_one(
                fault_harness, photos, options.faults, options.seed, photo_s=options.photo_s
            )
    if options.bundle_images:
        tell(f"{options.bundle_images} images through the bundle, {options.bundle_faults} faults")
        with FaultHarness(folder / "bundle", **with_lease(options.lease_s)) as fault_harness:
            photos = make_portraits(options.bundle_images, random.Random(options.seed))
            verdicts["portraits, shipped bundle"] = try_one(
                fault_harness, photos, options.bundle_faults, options.seed, photo_s=None
            )
    return verdicts


def try_one(
    fault_harness: FaultHarness,
    photos: list[bytes],
    faults: int,
    seed: int,
    *,
    photo_s: float | None,
) -> Verdict:
    """Label photos without faults, then with; `photo_s` None for the real network."""
    rng = random.Random(seed)
    keys = store(fault_harness, photos)
    tell("stored; the undisturbed run")
    program = {} if photo_s is not None else {"program": REAL_WORKER}
    fault_harness.start_workers(1, **program)
    reference = run_undisturbed(fault_harness, keys, patience_s=LOADING_S)
    fault_harness.stop_workers()
    tell("the run with faults")
    fault_harness.start_sweeper()
    if photo_s is None:
        fault_harness.start_workers(1, program=REAL_WORKER)
    else:
        fault_harness.start_workers(2, f"--photo-s={photo_s}", "--concurrency=2")
    plan = plan_faults(faults, rng)
    verdict = run_with_faults(
        fault_harness,
        keys,
        reference,
        plan=plan,
        rng=rng,
        jobs=10,
        patience_s=LOADING_S,
        close=photo_s is None,
    )
    # Said at once: what comes next may fail.
    tell(json.dumps(verdict.to_json()))
    return verdict


def make_portraits(number: int, rng: random.Random) -> list[bytes]:
    """Return JPEGs of one public-domain portrait in many sizes and lights, and of none.

    A third is so large that it is decoded reduced.
    """
    portrait, scene = Image.fromarray(data.astronaut()), Image.fromarray(data.coffee())
    photos = []
    for index in range(number):
        image = scene if index % 5 == 4 else portrait
        side = rng.randrange(200, 500) * (6 if index % 3 == 0 else 1)
        image = ImageEnhance.Brightness(image.resize((side, side))).enhance(rng.uniform(0.7, 1.2))
        out = io.BytesIO()
        image.save(out, "JPEG", quality=85)
        photos.append(out.getvalue()[: 3000 if index % 40 == 7 else None])
    return photos


def tell(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
