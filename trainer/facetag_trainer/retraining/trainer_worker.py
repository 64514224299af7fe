"""Run a trainer worker: a parent listens to the queue of retrainings, a child fits."""

import os

import structlog
from celery import Celery

from facetag.bundles.bundle_store import Shelf
from facetag.errors import ServiceUnavailable
from facetag.queue.celery_app import QUEUE_RETRAIN
from facetag.queue.consumer import Stopping, check_database, consume, make_consumer
from facetag.queue.task_names import TASK_RETRAIN
from facetag.retraining.retraining_lease import RetrainingClaim
from facetag.settings import Settings
from facetag_trainer.retraining.heartbeat import Keeper
from facetag_trainer.retraining.queue_task import Answering

log = structlog.get_logger(__name__)


def run_trainer(settings: Settings) -> int:
    """Do queued retrainings until asked to stop; returns the exit status.

    Raises SettingsInvalid, and DatabaseUnavailable if the database is down or has no tables.
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

    As for photos, a message is acknowledged as soon as it is taken: Redis would deliver a message
    that stays unacknowledged for its visibility timeout, an hour, to a second trainer worker in the
    middle of a fit. If a worker dies with its message, the sweeper sends another.
    """
    app = make_consumer(settings)
    app.conf.update(
        # A fit may take any time; `facetag_trainer.retraining.heartbeat` ends what hangs.
        task_time_limit=None,
        # The child that fits loads TensorFlow and ends afterwards, which frees its memory.
        worker_max_tasks_per_child=1,
        # The memory of a fit depends on its options; a limit would end fits that succeed.
        worker_max_memory_per_child=None,
    )
    return app


def add_tasks(app: Celery, settings: Settings, stopping: Stopping) -> None:
    """Register the task of a trainer worker."""
    parent = os.getpid()

    def is_stopping() -> bool:
        # If its parent was killed, nobody else could stop the child.
        return stopping.asked or os.getppid() != parent

    @app.task(name=TASK_RETRAIN)
    def retrain(retraining_id: str) -> None:
        try:
            Answering(settings, is_stopping, retrain_late).answer()
        except ServiceUnavailable as error:
            # Nothing is lost: the lease runs out, and the sweeper sends another message.
            log.warning("retraining_interrupted", id=retraining_id, reason=str(error))


def retrain_late(shelf: Shelf, claim: RetrainingClaim, keeper: Keeper) -> None:
    """Load TensorFlow, then do the retraining by `queued_retraining`."""
    from facetag_trainer.retraining.queued_retraining import retrain_claimed

    retrain_claimed(shelf, claim, keeper)
