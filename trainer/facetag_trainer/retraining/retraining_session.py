"""Run a retraining: admit the shards, fit, compare, and record the result."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from facetag.bundles.bundle_folder import read_manifest
from facetag.bundles.bundle_store import Shelf
from facetag.bundles.object_store import store_bundle
from facetag.bundles.registry import Champion, add_bundle, find_champion, promote
from facetag.db.engine import transaction
from facetag.db.tables import Promotion
from facetag.errors import ChampionChanged, ShardRefused
from facetag.retraining.ledger import record_shards, refuse_known
from facetag.retraining.retraining_lock import hold_lock
from facetag.retraining.retraining_requests import refuse_open
from facetag.retraining.shard_store import store_shard
from facetag.settings import Settings
from facetag.vision.bundle import Bundle, open_bundle
from facetag.vision.crop import read_crop_rule
from facetag_trainer.data.cache_preparation import PreparePlan
from facetag_trainer.data.crop_cache import CropCache, detector_facts
from facetag_trainer.evaluation.table_1_metrics import flatten
from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.loop import FitProgress
from facetag_trainer.progress import ProgressReporter, show_step
from facetag_trainer.reports.table_measures import MAIN
from facetag_trainer.retraining.admission import Admission, Asked, admit_shards, known_rounds
from facetag_trainer.retraining.candidate import (
    RetrainingPlan,
    judge_candidate,
    retrain_network,
    state_verdict,
)
from facetag_trainer.retraining.gate.promotion_gate import GateVerdict
from facetag_trainer.retraining.round_caches import RoundCaches
from facetag_trainer.retraining.training_round import Examined, Round

SHOWN = tuple(f"{measure.head}_{measure.field}" for measure in MAIN)


@dataclass(frozen=True, slots=True)
class Order:
    """A queued retraining, and the functions that receive its progress and result."""

    id: UUID
    on_step: Callable[[int, int, int], None]
    """Takes the epoch (from 1), the steps done in all epochs, and their total."""
    on_record: Callable[[Session, str, GateVerdict, bool], None]
    """Takes version, verdict, and whether the bundle was promoted. It runs in the transaction that
    records them: if it raises, nothing is recorded."""


class RetrainingSession:
    """A single retraining for one tenant."""

    def __init__(
        self,
        shelf: Shelf,
        asked: Asked,
        plan: RetrainingPlan,
        *,
        run: Path,
        cache: Path,
        reporter: ProgressReporter,
        order: Order | None = None,
    ) -> None:
        self._shelf = shelf
        self._asked = asked
        self._plan = plan
        self._run = run
        self._cache = cache
        self._reporter = reporter
        self._order = order

    def rehearse(self) -> tuple[Mapping[str, Any], Admission]:
        """Return the champion's manifest and the images to fit on; writes nothing.

        Raises ShardRefused as `run` does.
        """
        champion = self._shelf.champion()
        folder = self._shelf.local_folder()
        manifest = read_manifest(folder) if champion is None else champion.manifest
        return manifest, self._admit(manifest)

    def run(self, *, promoting: bool = True) -> tuple[Bundle, GateVerdict, Promotion | None]:
        """Fit, compare and record; return the candidate, its verdict, and its promotion or None.

        Raises RetrainingBusy if another retraining runs or waits in the queue, and ShardRefused.
        """
        with hold_lock(self._shelf.engine, tenant_id=self._shelf.tenant_id):
            with transaction(self._shelf.sessions) as session:
                mine = None if self._order is None else self._order.id
                refuse_open(session, tenant_id=self._shelf.tenant_id, but=mine)
            champion = self._shelf.ensure_champion()
            admission = self._admit(champion.manifest)
            self._keep_given(champion, admission)
            with transaction(self._shelf.sessions) as session:
                rounds = known_rounds(session, champion.manifest, tenant_id=self._shelf.tenant_id)
            bundle = open_bundle(self._shelf.fetch(champion))
            plan = _prepare_plan(champion.manifest, self._shelf.settings)
            caches = RoundCaches(self._shelf, self._cache, plan, self._reporter)
            new = caches.cut(admission.new)
            earlier = [caches.open(one, self._asked.earlier) for one in rounds]
            run = self._run / self._name_run(champion, [admission.new.round, *rounds])
            candidate = self._fit(bundle, new, earlier, run)
            verdict = self._judge(bundle, candidate, new, earlier)
            candidate = state_verdict(candidate, verdict)
            promotion = self._record(champion, candidate, verdict, admission.new, promoting)
            return candidate, verdict, promotion

    def _admit(self, manifest: Mapping[str, Any]) -> Admission:
        admission = admit_shards(
            self._shelf.sessions,
            self._asked,
            manifest,
            _prepare_plan(manifest, self._shelf.settings),
            tenant_id=self._shelf.tenant_id,
        )
        if self._plan.replay and not admission.earlier:
            raise ShardRefused(
                "None of the champion's earlier shards is available to replay or to compare on: "
                "give them with --earlier. With --replay 0 the candidate is fitted on the new "
                "shards alone and waits for you to promote it."
            )
        return admission

    def _keep_given(self, champion: Champion, admission: Admission) -> None:
        """Store all shards, and record the given test sets and earlier shards."""
        shelf = self._shelf
        for shard in (*self._asked.shards, *self._asked.earlier):
            store_shard(shelf.storage, shelf.tenant_id, shard.path, shard.sha256)
        for examined, version in (
            (admission.given_earlier, champion.version),
            (admission.given_tests, None),
        ):
            if examined is not None:
                with transaction(shelf.sessions) as session:
                    record_shards(
                        session,
                        examined.round.shards,
                        examined.ledger_images(),
                        tenant_id=shelf.tenant_id,
                        version=version,
                    )

    def _name_run(self, champion: Champion, rounds: Sequence[Round]) -> str:
        images = [[sorted(one.shards), sorted(one.parts.items()), one.domain] for one in rounds]
        facts = detector_facts(self._shelf.settings)
        text = json.dumps([champion.version, images, facts, self._plan.to_json()])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _fit(
        self, champion: Bundle, new: CropCache, earlier: Sequence[CropCache], run: Path
    ) -> Bundle:
        self._reporter.say(f"Fitting in {run}; after a kill, the same command resumes")
        plans: list[FitPlan] = []
        with self._reporter.bar("Fitting", total=None) as bar:

            def on_step(progress: FitProgress) -> None:
                epochs = plans[0].epochs
                show_step(bar, progress, epochs)
                if self._order is not None:
                    done = progress.epoch * progress.steps + progress.step
                    self._order.on_step(progress.epoch + 1, done, epochs * progress.steps)

            return retrain_network(
                champion,
                new,
                earlier,
                self._plan,
                run,
                on_start=plans.append,
                on_step=on_step,
                on_epoch=self._tell_epoch,
                on_read=lambda done, total: bar.set(done, total=total, note="reading"),
                on_point=lambda done, total: bar.set(done, total=total, note="choosing weights"),
                on_estimate=self._tell_estimate,
            )

    def _tell_estimate(self, seconds: float) -> None:
        minutes = max(1, round(seconds / 60))
        self._reporter.say(f"This will take about {minutes} minute{'' if minutes == 1 else 's'}.")

    def _judge(
        self, champion: Bundle, candidate: Bundle, new: CropCache, earlier: Sequence[CropCache]
    ) -> GateVerdict:
        with self._reporter.bar("Comparing the candidate with the champion", total=None) as bar:
            verdict = judge_candidate(
                champion,
                candidate,
                new,
                earlier,
                serves=self._plan.serves,
                on_read=lambda done, total: bar.set(done, total=total),
            )
        reason = "fails, there is no earlier shard to compare them on"
        return verdict or GateVerdict(
            False, champion.version, [reason], self._plan.serves, notes=[reason]
        )

    def _tell_epoch(self, row: dict[str, Any]) -> None:
        measures = {name: value for name, value in flatten(row).items() if name in SHOWN}
        figures = ", ".join(f"{name} {value:.3f}" for name, value in measures.items())
        self._reporter.say(f"Epoch {row['epoch'] + 1} on validation: {figures}")

    def _record(
        self,
        champion: Champion,
        candidate: Bundle,
        verdict: GateVerdict,
        new: Examined,
        promoting: bool,
    ) -> Promotion | None:
        """Record the bundle, its shards and its promotion together, or not at all."""
        shelf = self._shelf
        files = store_bundle(shelf.storage, shelf.tenant_id, candidate.folder)
        manifest, stated = candidate.manifest, verdict.to_json()
        with transaction(shelf.sessions) as session:
            add_bundle(session, manifest, files, tenant_id=shelf.tenant_id, verdict=stated)
            now = find_champion(session, tenant_id=shelf.tenant_id)
            if now is None or now.version != champion.version:
                raise ChampionChanged
            refuse_known(
                session,
                new.round.shards,
                {},
                again=self._asked.again,
                tenant_id=shelf.tenant_id,
            )
            record_shards(
                session,
                new.round.shards,
                new.ledger_images(),
                tenant_id=shelf.tenant_id,
                version=candidate.version,
                domain=new.round.domain,
            )
            promotion = None
            if verdict.holds and promoting:
                promotion = promote(session, candidate.version, tenant_id=shelf.tenant_id)
            if self._order is not None:
                self._order.on_record(session, candidate.version, verdict, promotion is not None)
            return promotion


def _prepare_plan(manifest: Mapping[str, Any], settings: Settings) -> PreparePlan:
    """Return the plan for the crops of a bundle."""
    size = int(manifest["network"]["input_size"])
    return PreparePlan(settings, size=size, rule=read_crop_rule(manifest["crop"]))
