"""What the worker's tests work with: a database, a queue, object storage, photos and jobs."""

import io
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from celery import Celery
from PIL import Image as PillowImage
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from facetag.access.keys import Scope, create_key
from facetag.db.engine import make_engine, make_sessions, transaction
from facetag.db.tables import ImageState, Job
from facetag.jobs import NewImage, create_job, create_prefix_job, list_images
from facetag.queue.celery_app import make_celery, ring, ring_listing
from facetag.settings import Settings
from facetag.storage.client import Storage, make_storage

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 60.0


def png(width: int = 32, height: int = 24, color: str = "white") -> bytes:
    file = io.BytesIO()
    PillowImage.new("RGB", (width, height), color).save(file, "PNG")
    return file.getvalue()


@dataclass
class Harness:
    """A database, a queue and object storage, with what tests do to them."""

    settings: Settings
    sessions: sessionmaker[Session] = field(init=False)
    storage: Storage = field(init=False)
    celery: Celery = field(init=False)
    log: Path | None = None

    def __post_init__(self) -> None:
        self.sessions = make_sessions(make_engine(self.settings))
        self.storage = make_storage(self.settings)
        self.celery = make_celery(self.settings)

    def set(self, **settings: Any) -> None:
        """Change settings of the processes that are started from now on."""
        self.settings = self.settings.model_copy(update=settings)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        with transaction(self.sessions) as session:
            yield session

    def make_key(self, *, tenant_id: str = "local", scope: Scope = Scope.ADMIN) -> dict[str, str]:
        """Return the header of a new key."""
        with self.transaction() as session:
            token = create_key(session, name="test", tenant_id=tenant_id, scope=scope)
        return {"Authorization": f"Bearer {token.text}"}

    def put(self, *photos: bytes) -> list[str]:
        """Store photos under keys of this test alone."""
        folder = f"tenants/local/images/{uuid.uuid4().hex}"
        keys = [f"{folder}/{number:04}.png" for number in range(len(photos))]
        for key, photo in zip(keys, photos, strict=True):
            self.storage.put(key, photo, "image/png")
        return keys

    def post(self, keys: Sequence[str], *, priority: int = 0, announced: bool = False) -> uuid.UUID:
        images = [NewImage(key, key, self.settings.s3_bucket) for key in keys]
        with self.transaction() as session:
            job, _ = create_job(session, tenant_id="local", images=images, priority=priority)
        if announced:
            self.ring(job.id)
        return job.id

    def post_prefix(self, prefix: str, *, bucket: str | None = None) -> uuid.UUID:
        with self.transaction() as session:
            job, _ = create_prefix_job(
                session,
                tenant_id="local",
                bucket=bucket or self.settings.s3_bucket,
                prefix=prefix,
            )
        assert ring_listing(self.celery, job.id)
        return job.id

    def ring(self, job_id: uuid.UUID, images: int | None = None) -> None:
        job = self.job(job_id)
        images, priority = images or job.queued, job.priority
        assert ring(self.celery, job_id, images=images, settings=self.settings, priority=priority)

    def job(self, job_id: uuid.UUID) -> Job:
        """Return the job, with the changes of counts that were left; fails where the counts and
        these do not add up, which they always must.
        """
        sums = ", ".join(
            f"coalesce(sum({state.value}), 0) AS {state.value}" for state in ImageState
        )
        with self.transaction() as session:
            session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            job = session.get_one(Job, job_id)
            rows = session.execute(
                text("SELECT state, count(*) AS number FROM images WHERE job_id = :id GROUP BY 1"),
                {"id": job_id},
            )
            counted = {row.state: row.number for row in rows}
            left = session.execute(
                text(f"SELECT {sums} FROM count_changes WHERE job_id = :id"), {"id": job_id}
            ).one()
        for state in ImageState:
            setattr(job, state.value, getattr(job, state.value) + getattr(left, state.value))
        counts = {state.value: getattr(job, state.value) for state in ImageState}
        assert counts == {state.value: counted.get(state.value, 0) for state in ImageState}
        assert job.total is None or job.total == sum(counts.values())
        return job

    def lines(self, job_id: uuid.UUID) -> list[dict[str, Any]]:
        with self.transaction() as session:
            lines, _ = list_images(session, job_id, tenant_id="local", limit=10**6)
        for line in lines:
            del line["position"]
        return lines

    def rows(self, job_id: uuid.UUID) -> list[Any]:
        """Return all columns of the job's images, in order."""
        query = "SELECT * FROM images WHERE job_id = :id ORDER BY position"
        with self.transaction() as session:
            return list(session.execute(text(query), {"id": job_id}).all())

    def change_images(self, change: str, job_id: uuid.UUID, where: str = "true") -> None:
        """Set columns of a job's images, for instance to let time pass."""
        statement = f"UPDATE images SET {change} WHERE job_id = :id AND {where}"
        with self.transaction() as session:
            session.execute(text(statement), {"id": job_id})

    def wait_until(
        self, condition: Callable[[], bool], what: str, patience_s: float = PATIENCE_S
    ) -> None:
        until = time.monotonic() + patience_s
        while not condition():
            log = self.log.read_text() if self.log and self.log.exists() else ""
            assert time.monotonic() < until, f"waited in vain until {what}; the log:\n{log}"
            time.sleep(0.05)

    def wait_until_closed(self, job_id: uuid.UUID) -> Job:
        self.wait_until(lambda: self.job(job_id).finished_at is not None, "the job is closed")
        return self.job(job_id)

    def start_worker(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a worker with the fake labeller, in a process group of its own."""
        return self._start("-m", "tests.integration.worker.fake_worker", *arguments)

    def start_sweeper(self) -> subprocess.Popen[bytes]:
        return self._start("-m", "facetag_cli.main", "sweep")

    def start_command(self) -> subprocess.Popen[bytes]:
        """Start a worker as users do, with the network of FACETAG_BUNDLE."""
        return self._start("-m", "facetag_cli.main", "worker")

    def start_api(self, port: int) -> subprocess.Popen[bytes]:
        return self._start("-m", "facetag_cli.main", "api", f"--port={port}")

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        assert self.log is not None
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=os.environ | environment(self.settings),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment from which a process reads these very settings."""
    values = {name: getattr(settings, name) for name in settings.model_fields_set}
    return {
        f"FACETAG_{name.upper()}": _as_text(value)
        for name, value in values.items()
        if value is not None
    }


def _as_text(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(value) if isinstance(value, tuple) else str(value)
