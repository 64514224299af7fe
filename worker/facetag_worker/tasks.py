"""The Celery tasks: doors that parse a message and hand it on."""

from uuid import UUID

from celery import Celery

from facetag.queue.celery_app import TASK_LIST, TASK_TAG
from facetag_worker.child_process import WorkerProcess


def add_tasks(app: Celery, process: WorkerProcess) -> None:
    """Register the tasks of a worker, which are done by `process`."""

    @app.task(name=TASK_TAG)
    def tag(job_id: str) -> None:
        process.drain(UUID(job_id))

    @app.task(name=TASK_LIST)
    def list_prefix(job_id: str) -> None:
        process.list_prefix(UUID(job_id))
