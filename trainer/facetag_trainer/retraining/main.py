"""Runs a trainer worker: a parent that listens to the retrainings' queue, and a child that fits."""

import os

import structlog
from celery import Celery

from facetag.bundles.bundle_store import Shelf
from facetag.errors import ServiceUnavailable
from facetag.queue.celery_app import QUEUE_RETRAIN, TASK_RETRAIN
from facetag.queue.consumer import Stopping, check_database, consume, make_consumer
from facetag.retraining.lease import RetrainingClaim
from facetag.settings import Settings
from facetag_trainer.retraining.heartbeat import Keeper
from facetag_trainer.retraining.task import Answering

log = structlog.get_logger(__name__)


def run_trainer(settings: Settings) -> int:
    """Retrain what is asked of the queue until asked to stop; returns the exit status.

    Raises SettingsInvalid, and DatabaseUnavailable where the database is away or has no tables.
    """
    check_database(settings)
    stopping = Stopping()
    app = make_trainer_app(settings)
    add_tasks(app, settings, stopping)
    return consume(
        app,
        stopping,
        name="facetag-trainer",
        queues=(QUEUE_RETRAIN,),
        open_child=lambda: log.info("ready", pid=os.getpid()),
    )


def make_trainer_app(settings: Settings) -> Celery:
    """Make the Celery app of a trainer worker, whose tasks take hours.

    A message is acknowledged as soon as it is taken, as for photos: Redis would hand one that stays
    unacknowledged past its visibility timeout, an hour, to a second trainer worker in the middle of
    a fit. Lost with a dying one, the sweeper rings again.
    """
    app = make_consumer(settings)
    app.conf.update(
        # A fit takes as long as it takes; `facetag_trainer.retraining.heartbeat` ends what hangs.
        task_time_limit=None,
        # TensorFlow is loaded by the child that fits, and leaves with it: memory and all.
        worker_max_tasks_per_child=1,
        # What a fit takes is known by whoever asks for it; a limit would end it for nothing.
        worker_max_memory_per_child=None,
    )
    return app


def add_tasks(app: Celery, settings: Settings, stopping: Stopping) -> None:
    """Register the task of a trainer worker."""
    parent = os.getpid()

    def is_stopping() -> bool:
        # A child whose parent was killed would be a fit that nobody can stop.
        return stopping.asked or os.getppid() != parent

    @app.task(name=TASK_RETRAIN)
    def retrain(retraining_id: str) -> None:
        try:
            Answering(settings, is_stopping, retrain_late).answer()
        except ServiceUnavailable as error:
            # Nothing is lost: its lease runs out, and the sweeper rings.
            log.warning("retraining_interrupted", id=retraining_id, reason=str(error))


def retrain_late(shelf: Shelf, claim: RetrainingClaim, keeper: Keeper) -> None:
    """Load TensorFlow, then do as `facetag_trainer.retraining.queued` does."""
    from facetag_trainer.retraining.queued import retrain_claimed

    retrain_claimed(shelf, claim, keeper)
