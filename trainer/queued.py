"""Retrainings by the queue: claimed, fitted and judged as by `facetag retrain`, recorded once."""

import os
import shutil
import socket
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import structlog
from sqlalchemy.orm import Session

from facetag.bundle_shelf import Shelf
from facetag.database import transaction
from facetag.errors import (
    ChampionChanged,
    FacetagError,
    LeaseLost,
    RetrainingBusy,
    ServiceUnavailable,
)
from facetag.outage import persist
from facetag.retraining_claims import (
    Ending,
    RetrainingClaim,
    claim_retraining,
    end_retraining,
    release_retraining,
)
from facetag.retraining_log import append_lines
from facetag.settings import Settings
from facetag.shard_files import fetch_shard
from facetag.tables import RetrainingState
from trainer import shard_sources
from trainer.admission import Asked
from trainer.judging import Verdict
from trainer.keeping import Keeper
from trainer.retraining import RetrainingPlan
from trainer.retraining_session import Order, RetrainingSession

BUSY_WAIT_S = 10.0
"""How long a retraining waits that finds another one running."""
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0

log = structlog.get_logger(__name__)


class QueuedRetraining:
    """Does the retraining that waits, with its folders below `<data_dir>/trainer`."""

    def __init__(self, settings: Settings, stopping: Callable[[], bool]) -> None:
        self._settings = settings
        self._stopping = stopping
        self._root = settings.data_dir / "trainer"
        self._shelf = Shelf(settings)

    def answer(self) -> None:
        """Answer one message; does nothing where nothing waits.

        What cannot be done is recorded as failed, with the reason. A service that is away is waited
        for: whatever the retraining has done so far is in its folders.
        """
        with closing(self._shelf):
            with transaction(self._shelf.sessions) as session:
                claim = claim_retraining(
                    session,
                    tenant_id=self._shelf.tenant_id,
                    worker=f"{socket.gethostname()}:{os.getpid()}",
                    lease_s=self._settings.lease_s,
                )
            if claim is not None:
                with Keeper(
                    self._shelf.sessions,
                    claim,
                    lease_s=self._settings.lease_s,
                    stopping=self._stopping,
                ) as keeper:
                    self._work(claim, keeper)

    def _work(self, claim: RetrainingClaim, keeper: Keeper) -> None:
        try:
            self._retrain_patiently(claim, keeper)
        except LeaseLost as error:
            log.info("retraining_left", id=str(claim.id), reason=str(error))
        except (RetrainingBusy, ChampionChanged) as error:
            wait_s = BUSY_WAIT_S if isinstance(error, RetrainingBusy) else 0.0
            self._leave(claim, keeper, str(error), wait_s)
        except FacetagError as error:
            self._fail(claim, keeper, str(error))
        except Exception as error:
            log.exception("retraining_failed", id=str(claim.id))
            self._fail(claim, keeper, f"{type(error).__name__}: {error}")

    def _retrain_patiently(self, claim: RetrainingClaim, keeper: Keeper) -> None:
        wait_s = FIRST_WAIT_S
        while True:
            try:
                return self._retrain(claim, keeper)
            except ServiceUnavailable as error:
                keeper.say(f"waiting: {error}")
            keeper.wait(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _retrain(self, claim: RetrainingClaim, keeper: Keeper) -> None:
        options = claim.options
        new, earlier, tests = (
            self._take(claim.shards.get(name, ()), keeper) for name in ("new", "earlier", "tests")
        )
        asked = Asked(new, earlier, tests, leave_out=options["leave_out"], again=options["again"])
        # JSON has no tuples, of which plans are made.
        fit = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in options["fit"].items()
        }

        def record(session: Session, version: str, verdict: Verdict, promoted: bool) -> None:
            lines = [*keeper.take_lines(), *verdict.reasons]
            append_lines(session, claim.id, lines, tenant_id=claim.tenant_id)
            state = _state_of(verdict, promoted=promoted)
            end_retraining(session, claim, Ending(state, version, verdict.to_json()))

        session = RetrainingSession(
            self._shelf,
            asked,
            RetrainingPlan(options["replay"], options["precision"], fit),
            run=self._root / "runs",
            cache=self._root / "cache",
            teller=keeper,
            order=Order(claim.id, keeper.note_step, record),
        )
        candidate, _, _ = session.run(promoting=options["promote"])
        # The bundle is in object storage: weekly runs must not fill the disk.
        shutil.rmtree(candidate.folder.parent, ignore_errors=True)

    def _take(self, sources: Sequence[Mapping[str, str]], keeper: Keeper) -> list[Path]:
        paths = []
        for source in sources:
            keeper.note_stage(f"fetching {source.get('name') or source['url']}")
            paths.append(self._take_one(source))
        return paths

    def _take_one(self, source: Mapping[str, str]) -> Path:
        """Return a shard as a file with its own name, which manifests and ledger call it by."""
        shelf, folder = self._shelf, self._root / "cache" / "shards"
        if "url" in source:
            stored = shard_sources.parse_source(source["url"])
            assert isinstance(stored, shard_sources.StoredShard)  # noqa: S101 - as it was asked for
            return shard_sources.fetch_shard(stored, shelf.storage, folder)
        digest = source["sha256"]
        copy = fetch_shard(shelf.storage, shelf.tenant_id, digest, folder)
        named = folder / digest[:16] / Path(source["name"]).name
        named.parent.mkdir(parents=True, exist_ok=True)
        draft = named.with_name(f".{uuid.uuid4().hex}")
        draft.symlink_to(copy.absolute())
        draft.replace(named)
        return named

    def _leave(self, claim: RetrainingClaim, keeper: Keeper, reason: str, wait_s: float) -> None:
        def leave(session: Session) -> None:
            if release_retraining(session, claim, wait_s=wait_s):
                lines = [*keeper.take_lines(), f"back in the queue: {reason}"]
                append_lines(session, claim.id, lines, tenant_id=claim.tenant_id)

        persist(self._shelf.sessions, leave, give_up=self._stopping)

    def _fail(self, claim: RetrainingClaim, keeper: Keeper, reason: str) -> None:
        def fail(session: Session) -> None:
            append_lines(session, claim.id, keeper.take_lines(), tenant_id=claim.tenant_id)
            end_retraining(session, claim, Ending(RetrainingState.FAILED, error=reason))

        try:
            persist(self._shelf.sessions, fail, give_up=self._stopping)
        except LeaseLost as error:
            log.info("retraining_left", id=str(claim.id), reason=str(error))


def _state_of(verdict: Verdict, *, promoted: bool) -> RetrainingState:
    if promoted:
        return RetrainingState.PROMOTED
    return RetrainingState.CANDIDATE if verdict.holds else RetrainingState.REFUSED
