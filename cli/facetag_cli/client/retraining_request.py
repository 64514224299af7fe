"""Queue a retraining: store its shards in object storage and its request in PostgreSQL."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facetag.bundles.bundle_store import Shelf
from facetag.db.engine import transaction
from facetag.db.tables import Retraining
from facetag.queue.celery_app import make_celery, ring_retraining
from facetag.retraining.ledger import learnt_shards, refuse_known
from facetag.retraining.retraining_requests import Source, ask_retraining, require_free
from facetag.retraining.shard_store import store_shard
from facetag.settings import Settings
from facetag_cli.reporter import Reporter
from facetag_trainer.data.shards import read_shards, shard_digest

if TYPE_CHECKING:
    from facetag_trainer.data.shard_sources import ShardSource


def queue_retraining(
    settings: Settings,
    shards: "Mapping[str, Sequence[ShardSource]]",
    options: Mapping[str, Any],
    reporter: Reporter,
) -> Retraining:
    """Queue a retraining for a trainer worker; `shards` are the lists `new`, `earlier`, `tests`.

    Refuse before anything is sent what can be refused at once: raise RetrainingBusy, ShardRefused
    or ShardUnreadable. Errors of object storage are raised as they come.
    """
    celery = make_celery(settings)
    with closing(Shelf(settings)) as shelf:
        digests = {
            path: shard_digest(path)
            for given in shards.values()
            for path in given
            if isinstance(path, Path)
        }
        _refuse_at_once(shelf, shards["new"], digests, again=options["again"])
        for path in digests:
            # Reads the first image, or raises ShardUnreadable.
            next(iter(read_shards([path])))
        sources = {
            name: [_to_source(shelf, one, digests, reporter) for one in given]
            for name, given in shards.items()
        }
        with transaction(shelf.sessions) as session:
            row = ask_retraining(session, sources, options, tenant_id=shelf.tenant_id)
    # If nobody hears this ring, the sweeper rings again.
    ring_retraining(celery, row.id)
    return row


def _refuse_at_once(
    shelf: Shelf, new: "Sequence[ShardSource]", digests: Mapping[Path, str], *, again: bool
) -> None:
    names = {digests[path]: path.name for path in new if isinstance(path, Path)}
    champion = shelf.champion()
    learnt = {} if champion is None else learnt_shards(champion.manifest)
    with transaction(shelf.sessions) as session:
        require_free(session, tenant_id=shelf.tenant_id)
        refuse_known(session, names, learnt, again=again, tenant_id=shelf.tenant_id)


def _to_source(
    shelf: Shelf, shard: "ShardSource", digests: Mapping[Path, str], reporter: Reporter
) -> Source:
    if not isinstance(shard, Path):
        # A shard that is missing or refused is reported now.
        with shelf.storage.download(shard.bucket, shard.key):
            return {"url": str(shard)}
    reporter.say(f"Storing {shard.name}, unless object storage has it already")
    store_shard(shelf.storage, shelf.tenant_id, shard, digests[shard])
    return {"name": shard.name, "sha256": digests[shard]}
