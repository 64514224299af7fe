"""Measure how well the confidence of a face tells faces from things, and fit what it follows from.

Chips of a labelled shard are levelled into scenes, and scenes of many objects have no face
(`object_scenes`). Printed are, per bound, the things that it leaves and the real faces that it
loses of those that the cascade finds, in scenes (turned, blurred, dark or cut by the edge) and on
chips as they are, beside what the cascade's own score does. A quarter are infants. Things and faces
are weighed as among public photos, where one box in six was a thing.

    python -m benchmarks.network.confidence part-4.tar
    python -m benchmarks.network.confidence part-4.tar --fit part-1.tar

\b
--fit    fits the numbers anew, on chips of other shards and on scenes from other photos than those
         that are reported on, and writes them to `facetag/vision/mtcnn/face_probability.json`
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from benchmarks.network.face_evidence import Gathered, gather
from benchmarks.network.object_scenes import FIT, REPORT
from benchmarks.network.probability_fit import THINGS, fit
from facetag.vision.mtcnn.cascade import Cascade
from facetag.vision.mtcnn.detection_evidence import EVIDENCE
from facetag.vision.mtcnn.face_probability import FILE, FaceProbability
from facetag.vision.network_loader import compile_cascade
from facetag_trainer.data.shards import Sample, read_shards

BOUNDS = (0.98, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.3)
INFANT = 3
"""Labelled age in years below which a face is an infant's."""
INFANTS = 4
"""One chip in so many is an infant's."""


@click.command(help=__doc__)
@click.argument("shard", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--fit", "fit_on", multiple=True, help="Shards to fit on; several may be given.",
              type=click.Path(path_type=Path, exists=True, dir_okay=False))  # fmt: skip
@click.option("--chips", default=700, show_default=True, help="Face chips of each side.")
@click.option("--scenes", default=800, show_default=True, help="Scenes without a face, each side.")
@click.option("--seed", default=11, show_default=True, help="Another seed makes other scenes.")
def main(shard: Path, fit_on: tuple[Path, ...], chips: int, scenes: int, seed: int) -> None:
    """Gather, fit if asked to, and print a line per bound."""
    cascade = compile_cascade()
    if fit_on:
        gathered = _gather(cascade, fit_on, FIT, chips, scenes, seed)
        stated = fit(gathered) | {"source": _describe(gathered, fit_on, chips, seed)}
        FILE.write_text(json.dumps(stated, indent=2) + "\n")
        click.echo(f"Fitted on {len(gathered.faces)} faces and {len(gathered.things)} things.")
    stated = json.loads(FILE.read_text())
    probability = FaceProbability(tuple(stated["weights"].values()), stated["offset"])
    reported = _gather(cascade, (shard,), REPORT, chips, scenes, seed + 1)
    for text in report(reported, probability):
        click.echo(text)


def report(gathered: Gathered, probability: FaceProbability) -> list[str]:
    """Return a line per bound, for the probability and for the cascade's own score."""
    faces, things, plain = (
        np.array([one.evidence for one in ones], np.float32)
        for ones in (gathered.faces, gathered.things, gathered.plain)
    )
    kinds = [f"{gathered.kinds.count(kind)} {kind}" for kind in sorted(set(gathered.kinds))]
    head = (
        f"{len(faces)} faces in scenes, {gathered.missed} more that the cascade misses; "
        f"{len(plain)} on chips as they are; {len(things)} things in {gathered.scenes} scenes: "
        f"{', '.join(kinds)}"
    )
    columns = (
        "bound: of things left; of boxes that are none; of faces in scenes lost (of infants'); "
        "of those on chips (of infants')"
    )
    lines = [head, columns]
    for name, rate in (("confidence", probability.of), ("own score", _own_score)):
        in_scenes, on_chips, false = rate(faces), rate(plain), rate(things)
        for bound in BOUNDS:
            left, kept = (false >= bound).mean(), (in_scenes >= bound).mean()
            none = THINGS * left / max(THINGS * left + (1 - THINGS) * kept, 1e-9)
            lines.append(
                f"{name} {bound}: {left:.1%}; {none:.1%}; "
                f"{_lost(in_scenes, gathered.ages, bound)}; "
                f"{_lost(on_chips, gathered.plain_ages, bound)}"
            )
    return lines


def _own_score(evidence: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    score = 1 / (1 + np.exp(-evidence[:, EVIDENCE.index("score")]))
    return score.astype(np.float32)


def _lost(values: npt.NDArray[np.float32], ages: Sequence[float], bound: float) -> str:
    infant = np.array(ages) < INFANT
    return f"{(values < bound).mean():.1%} ({(values[infant] < bound).mean():.1%})"


def _gather(
    cascade: Cascade,
    shards: Sequence[Path],
    sources: tuple[str, ...],
    chips: int,
    scenes: int,
    seed: int,
) -> Gathered:
    rng = np.random.default_rng(seed)
    samples = [item for item in read_shards(list(shards)) if isinstance(item, Sample)]
    order = [samples[index] for index in rng.permutation(len(samples))]
    # Infants are few, and what a bound loses first.
    infants = [sample for sample in order if sample.labels["age"] < INFANT][: chips // INFANTS]
    others = [sample for sample in order if sample.labels["age"] >= INFANT]
    picked = [*infants, *others[: chips - len(infants)]]
    return gather(cascade, picked, sources, scenes, rng)


def _describe(gathered: Gathered, shards: Sequence[Path], chips: int, seed: int) -> dict[str, Any]:
    return {
        "program": "python -m benchmarks.network.confidence --fit",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "shards": [shard.name for shard in shards],
        "chips": chips,
        "scenes": gathered.scenes,
        "seed": seed,
        "photos": list(FIT),
        "faces": len(gathered.faces),
        "things": len(gathered.things),
        "share_of_things": round(THINGS, 4),
    }


if __name__ == "__main__":
    main()
