"""Fit a candidate from the champion, and compare the two."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facetag.atomic_write import atomic_write
from facetag.bundles.bundle_folder import CARD
from facetag.heads import HELD_OUT_IMAGES
from facetag.retraining.domains import name_domain
from facetag.retraining.ledger import CALIBRATION, HOLDOUT
from facetag.vision.bundle import Bundle, open_bundle, save_manifest
from facetag.vision.bundle_writer import without_identity, write_bundle
from facetag.vision.network.backbones import FROZEN_LAYERS
from facetag_trainer.calibration.bundle_calibration import OnRead, calibrate_bundle
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.data.splits import join_records, record_held_out, split_held_out
from facetag_trainer.fit.distillation import ANSWERS, write_answers
from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.loop import FitProgress, make_feeder, read_history
from facetag_trainer.fit.training_run import TrainingPlan, train_network
from facetag_trainer.reports.card import write_card
from facetag_trainer.retraining.champion_answers import ask_champion
from facetag_trainer.retraining.domain_figures import find_domain, measure_domains
from facetag_trainer.retraining.gate.label_check import Read, check_labels
from facetag_trainer.retraining.gate.loss_bounds import EARLIER, NEW, Serves
from facetag_trainer.retraining.gate.paired_comparison import Judged
from facetag_trainer.retraining.gate.promotion_gate import GateVerdict, judge
from facetag_trainer.retraining.material.joined_images import gather_material
from facetag_trainer.retraining.outputs.output_cache import OutputCache, join_outputs
from facetag_trainer.retraining.time_estimate import RetrainingWork, estimate_once
from facetag_trainer.retraining.weight_interpolation import (
    POINTS,
    add_losses,
    choose_point,
    find_allowance,
)

EPOCHS = 4
LEARNING_RATE, HIGHEST_RATE = 9e-5, 1.8e-4
"""The rate for EPOCHS, less than a third of that of `facetag train`, since the weights are good
already; and the rate that fewer epochs get at most, to make up for their number."""
REPLAY = 0.4
"""Share of the earlier training images that are fitted on again as they are."""
TEACHER_SHARE = 0.8
"""Share of the targets of replayed images that is the champion's answer (learning without
forgetting; Li and Hoiem 2016, arXiv:1606.09282)."""
NEW_SHARE = np.float32(0.125)
"""The same of new images, as a factor: their labels know better than the champion."""
CHOSEN = "chosen"
"""Folder of the candidate in that of its run, which also holds the network as it was fitted."""
AVERAGED_SHARE = 5
"""Weights are averaged over this fraction (1/5) of a short fit: a longer average would keep the
old weights."""
JUDGED_BY = (CALIBRATION, HOLDOUT)
"""The held-out parts that choose no weights. Outputs are compared before calibration, which is
fitted on some of these images."""


@dataclass(frozen=True, slots=True)
class RetrainingPlan:
    """The options of a retraining."""

    replay: float = REPLAY
    """Share of the earlier training images that are fitted on again."""
    precision: str = "float32"
    serves: Serves = "both"
    """The images that the service labels from now on, which decide what may be lost."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `FitPlan` that replace the defaults of a retraining."""

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON; the name of the run folder follows from it."""
        return {
            "replay": self.replay,
            "precision": self.precision,
            "for": self.serves,
            **self.options,
        }

    def fit_plan(self, new: int, replayed: int, backbone: str) -> FitPlan:
        """Return the plan for so many images: warm-up and averaging shrink with short fits.

        New images are shown in every epoch, replayed ones in one of them.
        """
        epochs = int(self.options.get("epochs", EPOCHS))
        batch_size = int(self.options.get("batch_size", 32))
        steps = epochs * max(1, (new + replayed // epochs) // batch_size)
        usual = FitPlan()
        values = {
            "epochs": epochs,
            "learning_rate": min(HIGHEST_RATE, LEARNING_RATE * EPOCHS / epochs),
            "frozen_layers": FROZEN_LAYERS[backbone],
            "frozen_norms": True,
            "keep": "last",
            "label_smoothing": 0.0,
            "mixup": 0.0,
            "teacher_share": TEACHER_SHARE,
            "warm_up_steps": min(usual.warm_up_steps, steps // 10),
            "averaging": min(usual.averaging, max(0.0, 1 - AVERAGED_SHARE / steps)),
        }
        return FitPlan(**{**values, **self.options})


def retrain_network(
    champion: Bundle,
    new: CropCache,
    earlier: Sequence[CropCache],
    plan: RetrainingPlan,
    run: Path,
    *,
    on_start: Callable[[FitPlan], None] = lambda fit: None,
    on_step: Callable[[FitProgress], None] = lambda progress: None,
    on_epoch: Callable[[dict[str, Any]], None] = lambda row: None,
    on_read: OnRead = lambda done, total: None,
    on_point: OnRead = lambda done, total: None,
    on_estimate: Callable[[float], None] = lambda seconds: None,
) -> Bundle:
    """Fit the champion further in the folder `run` and return the bundle in `run/chosen`.

    The champion's answers are a share of the targets, and the weights are a point on the line
    between the champion's and the fitted ones. After a kill, a call with the same arguments
    resumes; a finished run returns the same bundle. `on_estimate` gets the seconds that the rest
    will take, once and before anything is fitted. Raises FacetagError if no image is left for
    fitting or validation.
    """
    if (run / CHOSEN / CARD).exists():
        return open_bundle(run / CHOSEN)
    material = gather_material(new, earlier, plan.replay, seed=int(plan.options.get("seed", 1)))
    fitting, joined = material.fitting, material.joined
    restyled = sum(len(indices) for indices in material.restyled)
    replayed = material.as_they_are + restyled
    training = int((~fitting.validation).sum())
    fit = plan.fit_plan(training - replayed, replayed, champion.spec.backbone)
    on_start(fit)
    work = RetrainingWork(
        new=training - replayed,
        replayed=replayed,
        held_out=int(joined.validation.sum()),
        epochs=fit.epochs,
        points=len(POINTS),
        reads=2 if champion.mirror.always else 1,
        precision=plan.precision,
    )
    on_pace = estimate_once(work, run, len(read_history(run)), on_estimate)
    output_cache = OutputCache(run, on_read=on_read, on_pace=on_pace)
    # It is read in any case, and gives the pace: so the estimate comes before the fit.
    output_cache.read(champion, new)
    shares = None
    if fit.teacher_share:
        if not (run / ANSWERS).exists():
            answers = ask_champion(champion, new, earlier, material, fit, output_cache)
            write_answers(run / ANSWERS, answers, fitting)
        shares = np.where(material.is_new, NEW_SHARE, np.float32(1)) * np.float32(fit.teacher_share)
    training_plan = TrainingPlan(
        champion.spec,
        fit,
        start=champion,
        teachers=(champion,) if fit.teacher_share else (),
        precision=plan.precision,
    )
    fitted = train_network(
        training_plan,
        fitting,
        run,
        shares=shares,
        spread=~material.is_new,
        transfer=material.transfer,
        on_step=on_step,
        on_epoch=on_epoch,
    )
    lost = champion.manifest.get("line", {}).get("lost", {})
    network, point, points = choose_point(
        champion,
        fitted,
        fitting,
        material.is_new,
        allowed=find_allowance(plan.serves, lost),
        fit=fit,
        feeder=make_feeder(fitting, champion.spec, fit),
        on_point=on_point,
    )
    manifest = {
        **fitted.manifest,
        "mirror": champion.mirror.to_json(),
        "samples": {**fitted.manifest["samples"], "validation": int(joined.validation.sum())},
        "shards": add_round(
            champion.manifest.get("shards", []), new.facts["shards"], find_domain(new)
        ),
        HELD_OUT_IMAGES: _record_held_out(champion, new, joined),
        "replay": {"share": plan.replay, "images": replayed, "in_new_style": restyled},
        "line": {
            "share": point.share,
            "points": [one.to_json() for one in points],
            "lost": add_losses(lost, point),
        },
    }
    bundle = write_bundle(
        run / CHOSEN, network, champion.spec, champion.crop_rule, without_identity(manifest)
    )
    bundle = _calibrate(bundle, new, earlier, joined, output_cache)
    domains = measure_domains([champion, bundle], [*earlier, new], output_cache)
    save_manifest(bundle.folder, {**bundle.manifest, "domains": domains})
    bundle = open_bundle(bundle.folder)
    atomic_write(bundle.folder / CARD, write_card(bundle.manifest))
    return bundle


def _record_held_out(champion: Bundle, new: CropCache, joined: CropCache) -> dict[str, str]:
    """Return the champion's record with the new round's images.

    If it has none, return that of all rounds at hand.
    """
    known = champion.manifest.get(HELD_OUT_IMAGES)
    if known is None:
        return record_held_out(joined.hashes, joined.validation)
    return join_records(known, record_held_out(new.hashes, new.validation))


def _calibrate(
    bundle: Bundle,
    new: CropCache,
    earlier: Sequence[CropCache],
    joined: CropCache,
    output_cache: OutputCache,
) -> Bundle:
    """Fit the calibration on the held-out images of all rounds."""
    clean, corrupted = (
        [
            output_cache.read(bundle, cache, cache.validation, spoil=spoil)
            for cache in (*earlier, new)
        ]
        for spoil in (False, True)
    )
    outputs, poor = (join_outputs(some) for some in (clean, corrupted))
    return calibrate_bundle(bundle, joined, known_outputs=(outputs, poor))


def judge_candidate(
    champion: Bundle,
    candidate: Bundle,
    new: CropCache,
    earlier: Sequence[CropCache],
    *,
    serves: Serves = "both",
    on_read: OnRead = lambda done, total: None,
) -> GateVerdict | None:
    """Compare a candidate with the champion on held-out images of earlier rounds and of the new.

    The new labels are checked too. Returns None if no earlier image is held out. What was read
    before is in the run's folder, which holds the candidate's; the rest is read, and counted by
    `on_read`.
    """
    judges = [find_judges(cache) for cache in earlier]
    if not any(members.any() for members in judges):
        return None
    output_cache = OutputCache(candidate.folder.parent, on_read=on_read)
    held_out = [
        (bundle, cache, cache.validation)
        for bundle in (champion, candidate)
        for cache in (*earlier, new)
        if bundle is candidate or cache is not new
    ]
    output_cache.announce([*held_out, (champion, new, np.ones_like(new.validation))])

    def read(bundle: Bundle, cache: CropCache, members: npt.NDArray[np.bool_]) -> Read:
        # All that is held out was read, or will be: the comparison takes what is judged.
        outputs = output_cache.read(bundle, cache, cache.validation)
        mine = members[cache.validation]
        return Read(
            {name: cache.labels[name][members] for name in bundle.spec.heads},
            {name: values[mine] for name, values in outputs.items()},
        )

    before, after = (
        join_reads([read(bundle, cache, some) for cache, some in zip(earlier, judges, strict=True)])
        for bundle in (champion, candidate)
    )
    unread = Read(
        {name: new.labels[name] for name in champion.spec.heads}, output_cache.read(champion, new)
    )
    members = find_judges(new)
    known, learnt = unread.take(members), read(candidate, new, members)
    verdict = judge(
        [
            Judged(EARLIER, before.labels, before.outputs, after.outputs),
            Judged(NEW, known.labels, known.outputs, learnt.outputs),
        ],
        against=champion.version,
        serves=serves,
    )
    return verdict.with_checks(check_labels(before, unread))


def state_verdict(candidate: Bundle, verdict: GateVerdict) -> Bundle:
    """Write a verdict into the manifest and the card of a candidate, and return the candidate."""
    manifest = {**candidate.manifest, "comparison": verdict.to_json()}
    save_manifest(candidate.folder, manifest)
    atomic_write(candidate.folder / CARD, write_card(manifest))
    return open_bundle(candidate.folder)


def find_judges(cache: CropCache) -> npt.NDArray[np.bool_]:
    """Return as (n,) which images of a cache judge: held out, and without a say in the weights."""
    members = cache.validation.copy()
    if members.any():
        members[members] = np.isin(split_held_out(cache.hashes[members]), JUDGED_BY)
    return members


def join_reads(reads: Sequence[Read]) -> Read:
    """Return several outputs as one."""
    return Read(
        join_outputs([one.labels for one in reads]), join_outputs([one.outputs for one in reads])
    )


def add_round(
    shards: Sequence[Mapping[str, Any]], new: Mapping[str, str], domain: str | None = None
) -> list[dict[str, Any]]:
    """Return a manifest's shards with those of one more round, with its number and domain."""
    number = 1 + max((int(shard.get("round", 0)) for shard in shards), default=-1)
    added = [
        {"name": name, "sha256": digest, "round": number, "domain": domain or name_domain(name)}
        for name, digest in new.items()
    ]
    return [*(dict(shard) for shard in shards), *added]


def list_rounds(shards: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return a manifest's shards (SHA-256 to name) per round, oldest first."""
    rounds: dict[int, dict[str, str]] = {}
    for shard in shards:
        rounds.setdefault(int(shard.get("round", 0)), {})[shard["sha256"]] = shard["name"]
    return [rounds[number] for number in sorted(rounds)]
