"""Do a queued retraining as `facetag retrain` does: fetch, fit, compare and record.

Its folders lie below `<data_dir>/trainer`; a killed retraining is resumed from them.
"""

import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy.orm import Session

from facetag.bundles.bundle_store import Shelf
from facetag.db.tables import RetrainingState
from facetag.retraining.log_lines import append_lines
from facetag.retraining.retraining_lease import Ending, RetrainingClaim, end_retraining
from facetag.retraining.shard_store import fetch_shard
from facetag_trainer.data import shard_sources
from facetag_trainer.data.shard_index import ShardIndex
from facetag_trainer.retraining.admission import Asked
from facetag_trainer.retraining.candidate import RetrainingPlan
from facetag_trainer.retraining.gate.promotion_gate import GateVerdict
from facetag_trainer.retraining.heartbeat import Keeper
from facetag_trainer.retraining.retraining_session import Order, RetrainingSession


def retrain_claimed(shelf: Shelf, claim: RetrainingClaim, keeper: Keeper) -> None:
    """Do a claimed retraining, and end the claim in the transaction that records the bundle.

    Called again after a kill, it resumes. Raises LeaseLost if the claim was lost, and what
    `RetrainingSession.run` and the fetching of shards raise.
    """
    root = shelf.settings.data_dir / "trainer"
    options = claim.options

    def record(session: Session, version: str, verdict: GateVerdict, promoted: bool) -> None:
        lines = [*keeper.take_lines(), *verdict.reasons]
        append_lines(session, claim.id, lines, tenant_id=claim.tenant_id)
        state = _state_of(verdict, promoted=promoted)
        end_retraining(session, claim, Ending(state, version, verdict.to_json()))

    retraining = RetrainingSession(
        shelf,
        _take_shards(shelf, claim, keeper, root / "cache" / "shards"),
        RetrainingPlan(
            options["replay"],
            options["precision"],
            # Requests from before this option lack it.
            options.get("for", "both"),
            options["fit"],
        ),
        run=root / "runs",
        cache=root / "cache",
        reporter=keeper,
        order=Order(claim.id, keeper.note_step, record),
    )
    candidate, _, _ = retraining.run(promoting=options["promote"])
    # The bundle is in object storage; weekly runs would fill the disk.
    shutil.rmtree(candidate.folder.parent, ignore_errors=True)


def _take_shards(shelf: Shelf, claim: RetrainingClaim, keeper: Keeper, folder: Path) -> Asked:
    lists: dict[str, list[ShardIndex]] = {}
    for name in ("new", "earlier", "tests"):
        lists[name] = []
        for source in claim.shards[name]:
            keeper.note_stage(f"Fetching {source.get('name') or source['url']}")
            path = _take_shard(shelf, source, folder)
            lists[name].append(ShardIndex(path, shelf.settings))
    return Asked(
        lists["new"],
        lists["earlier"],
        lists["tests"],
        leave_out=claim.options["leave_out"],
        domain=claim.options.get("domain"),
        again=claim.options["again"],
    )


def _take_shard(shelf: Shelf, source: Mapping[str, str], folder: Path) -> Path:
    """Return a shard as a file under its own name, which manifests and the ledger use."""
    if "url" in source:
        stored = shard_sources.parse_source(source["url"])
        assert isinstance(stored, shard_sources.StoredShard)  # noqa: S101 - a url of `sources` always names an object
        return shard_sources.download_shard(stored, shelf.storage, folder)
    digest = source["sha256"]
    copy = fetch_shard(shelf.storage, shelf.tenant_id, digest, folder)
    named = folder / digest[:16] / Path(source["name"]).name
    named.parent.mkdir(parents=True, exist_ok=True)
    draft = named.with_name(f".{uuid.uuid4().hex}")
    draft.symlink_to(copy.absolute())
    draft.replace(named)
    return named


def _state_of(verdict: GateVerdict, *, promoted: bool) -> RetrainingState:
    if promoted:
        return RetrainingState.PROMOTED
    return RetrainingState.CANDIDATE if verdict.holds else RetrainingState.REFUSED
