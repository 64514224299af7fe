"""Run the whole service for measurements: servers, a worker, and jobs of photos."""

import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy import text

from facetag.db.engine import make_engine, make_sessions, migrate, transaction
from facetag.jobs import NewImage, create_job
from facetag.queue.celery_app import make_celery, ring
from facetag.settings import Settings
from facetag.standalone.stack import LocalStack
from facetag.storage.client import make_storage

PATIENCE_S = 3600.0
LOOK_S = 0.2
POLL_S = 1.0
"""The pause between two looks at a job. The database measures, so a look may be late; each one
takes processor time from what is measured."""
READY = "ready"
"""The event that each child of a worker logs once it is warm."""

TIMES = text("""
    SELECT count(*) FILTER (WHERE state NOT IN ('queued', 'running')) AS ended,
        extract(epoch FROM max(finished_at) - min(started_at)) AS seconds
    FROM images WHERE job_id = :job
""")


@dataclass(frozen=True, slots=True)
class MeasuredService:
    """Hold the settings of running servers, and give them work."""

    settings: Settings
    environment: Mapping[str, str]

    def store(self, photos: Sequence[Path]) -> list[str]:
        """Put photos into object storage; return their keys."""
        storage = make_storage(self.settings)
        folder = f"tenants/local/images/{uuid.uuid4().hex}"
        keys = [f"{folder}/{index:06d}{photo.suffix}" for index, photo in enumerate(photos)]
        for key, photo in zip(keys, photos, strict=True):
            storage.put(key, photo.read_bytes(), "application/octet-stream")
        return keys

    def label(self, keys: Sequence[str]) -> float:
        """Run a job of these keys; return the seconds from its first start to its last end.

        The times are the database's, from the start of the first chunk until all is recorded.
        """
        engine = make_engine(self.settings)
        sessions = make_sessions(engine)
        images = [NewImage(key, key, self.settings.s3_bucket) for key in keys]
        with transaction(sessions) as session:
            job, _ = create_job(session, tenant_id="local", images=images)
            job_id = job.id
        ring(make_celery(self.settings), job_id, images=len(keys), settings=self.settings)
        until = time.monotonic() + PATIENCE_S
        try:
            while time.monotonic() < until:
                with transaction(sessions) as session:
                    row = session.execute(TIMES, {"job": job_id}).one()
                if row.ended == len(keys):
                    return float(row.seconds)
                time.sleep(POLL_S)
        finally:
            engine.dispose()
        raise RuntimeError("The job did not end.")


@contextmanager
def serve(folder: Path) -> Iterator[MeasuredService]:
    """Run the servers with their data below a folder."""
    with LocalStack(Settings(data_dir=folder)) as stack:
        settings = stack.connected_settings()
        migrate(settings.require("database_url"))
        make_storage(settings).ensure_bucket()
        yield MeasuredService(settings, stack.environment())


@contextmanager
def run_worker(service: MeasuredService, *, concurrency: int = 1) -> Iterator[list[psutil.Process]]:
    """Run `facetag worker`, and yield its child processes once all of them are warm."""
    command = [sys.executable, "-m", "facetag_cli.main", "worker", f"--concurrency={concurrency}"]
    with tempfile.NamedTemporaryFile() as log:
        worker = subprocess.Popen(
            command, env=os.environ | service.environment, stdout=log, stderr=log
        )
        try:
            until = time.monotonic() + PATIENCE_S
            while Path(log.name).read_text().count(READY) < concurrency:
                if worker.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"The worker did not start: {Path(log.name).read_text()}")
                time.sleep(LOOK_S)
            yield psutil.Process(worker.pid).children()
        finally:
            worker.terminate()
            worker.wait()
