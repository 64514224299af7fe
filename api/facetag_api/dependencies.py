"""Give endpoints the clients of this process, which are made once, and the caller."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, TypeVar

import anyio
import structlog
from fastapi import Depends, Request
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from facetag.access.keys import USE_RECORDED_S, Caller, Scope
from facetag.db.engine import make_engine, make_sessions, read, transaction
from facetag.errors import SettingsInvalid
from facetag.queue.celery_app import make_celery
from facetag.settings import Settings
from facetag.storage.client import Storage, make_storage
from facetag_api import limits
from facetag_api.job_listener import JobListener
from facetag_api.middleware.authentication import KeyRing, make_key_threads
from facetag_api.middleware.security import SAFE_METHODS
from facetag_api.problems import ScopeMissing

T = TypeVar("T")
log = structlog.get_logger(__name__)


@dataclass
class Services:
    """Hold the clients of one API process; nothing connects before the first use."""

    settings: Settings
    engine: Engine
    sessions: sessionmaker[Session]
    readers: sessionmaker[Session]
    """Makes sessions for reads of one statement (`Desk.read`)."""
    celery: Any
    storage: Storage
    presigner: Storage
    """Signs forms for the address at which clients reach object storage."""
    lookups: ThreadPoolExecutor
    checks: ThreadPoolExecutor
    large_compositions: threading.BoundedSemaphore
    predict_threads: anyio.CapacityLimiter
    predict_places: anyio.CapacityLimiter
    predict_transfers: anyio.CapacityLimiter
    key_ring: KeyRing
    key_threads: anyio.CapacityLimiter
    background: set[asyncio.Task[None]] = field(default_factory=set)
    """Tasks that outlive their request. asyncio alone would drop them."""

    @cached_property
    def job_listener(self) -> JobListener:
        """Return the listener of this process; it belongs to the event loop."""
        return JobListener(self.settings)

    @cached_property
    def photo_origins(self) -> list[str]:
        """Return the origins of object storage, to and from which the page sends photos."""
        buckets = (self.presigner.bucket, *self.settings.source_buckets)
        try:
            return sorted({self.presigner.origin_of(bucket) for bucket in buckets})
        except SettingsInvalid as error:
            log.warning("page_without_photos", reason=str(error))
            return []

    def close(self) -> None:
        """Release threads and connections."""
        for task in self.background:
            task.cancel()
        self.job_listener.close()
        for threads in (self.lookups, self.checks):
            threads.shutdown(wait=False, cancel_futures=True)
        self.celery.close()
        self.engine.dispose()
        self.readers.kw["bind"].dispose()


def open_services(settings: Settings) -> Services:
    """Make the clients; call it on the event loop. Raises SettingsInvalid."""
    engine = make_engine(settings, pool_size=limits.DATABASE_CONNECTIONS)
    readers = make_engine(settings, pool_size=limits.READ_CONNECTIONS, reads_only=True)
    storage = make_storage(settings, pool_size=limits.LOOKUP_THREADS + limits.PREDICT_THREADS)
    sessions, reading = make_sessions(engine), make_sessions(readers)
    return Services(
        settings=settings,
        engine=engine,
        sessions=sessions,
        readers=reading,
        key_ring=KeyRing(reading, sessions, use_every_s=USE_RECORDED_S),
        key_threads=make_key_threads(),
        celery=make_celery(settings),
        storage=storage,
        # A second client takes 12 MB, so it is made only if its address differs.
        presigner=make_storage(settings, public=True)
        if settings.s3_public_endpoint_url
        else storage,
        lookups=ThreadPoolExecutor(limits.LOOKUP_THREADS, thread_name_prefix="lookup"),
        checks=ThreadPoolExecutor(limits.CHECK_THREADS, thread_name_prefix="check"),
        large_compositions=threading.BoundedSemaphore(limits.MAX_LARGE_COMPOSITIONS),
        predict_threads=anyio.CapacityLimiter(limits.PREDICT_THREADS),
        predict_places=anyio.CapacityLimiter(limits.MAX_WAITING_PREDICTS),
        predict_transfers=anyio.CapacityLimiter(limits.MAX_PREDICT_TRANSFERS),
    )


async def get_services(request: Request) -> Services:
    """Return the clients of this process. As a coroutine it takes no thread."""
    services: Services = request.app.state.services
    return services


async def get_caller(request: Request) -> Caller:
    """Return whose key the request carries; raises ScopeMissing if it does not allow this.

    Reading and ending a session need the scope `read`, a change `jobs`, a change of a route with
    the tag `review` the scope `review`, and a route with the tag `admin` the scope `admin`.
    """
    caller: Caller = request.state.caller
    needed = _scope_of(request)
    if not caller.may(needed):
        raise ScopeMissing(
            f"The key `{caller.name}` has the scope {caller.scope}; this needs {needed}."
        )
    return caller


def _scope_of(request: Request) -> Scope:
    tags = getattr(request.scope.get("route"), "tags", ())
    if "admin" in tags:
        return Scope.ADMIN
    if request.method in SAFE_METHODS or "session" in tags:
        return Scope.READ
    return Scope.REVIEW if "review" in tags else Scope.JOBS


@dataclass(frozen=True, slots=True)
class Desk:
    """Hold the clients and the caller of one request, which nearly every endpoint needs."""

    services: Services
    caller: Caller

    @property
    def tenant_id(self) -> str:
        """The tenant whose rows and objects this request may touch."""
        return self.caller.tenant_id

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Open a transaction; raises DatabaseUnavailable."""
        with transaction(self.services.sessions) as session:
            yield session

    def read(self, ask: Callable[[Session], T]) -> T:
        """Return the answer to one statement; raises DatabaseUnavailable."""
        return read(self.services.readers, ask)


async def get_desk(
    services: Annotated[Services, Depends(get_services)],
    caller: Annotated[Caller, Depends(get_caller)],
) -> Desk:
    """Return the clients and the caller of a request."""
    return Desk(services, caller)


AtDesk = Annotated[Desk, Depends(get_desk)]
