"""Wake whoever follows a job when PostgreSQL says that it has changed."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import psycopg
import structlog

from facetag.db.notifications import listen
from facetag.settings import Settings
from facetag_api.problems import TooBusy

MAX_FOLLOWERS = 256
MAX_TENANT_FOLLOWERS = 64
"""So that no tenant takes the places of all others."""
RECONNECT_S = 2.0

log = structlog.get_logger(__name__)


class JobListener:
    """Listen on one connection for all followers of this process; it opens with the first one.

    While the connection is lost, nobody is woken: followers look for themselves now and then.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._followers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._by_tenant: Counter[str] = Counter()
        self._task: asyncio.Task[None] | None = None

    def require_place(self, tenant_id: str) -> None:
        """Raise TooBusy if a tenant may have no further follower."""
        if (
            self._by_tenant[tenant_id] >= MAX_TENANT_FOLLOWERS
            or self._by_tenant.total() >= MAX_FOLLOWERS
        ):
            raise TooBusy("Too many followers are connected already: poll GET /v1/jobs/ID.")

    @contextmanager
    def follow(self, job_id: UUID, tenant_id: str) -> Iterator[asyncio.Event]:
        """Give an event that is set when the job changes; raises TooBusy if there are too many."""
        self.require_place(tenant_id)
        if self._task is None:
            self._task = asyncio.create_task(self._listen())
        name, changed = str(job_id), asyncio.Event()
        self._followers[name].add(changed)
        self._by_tenant[tenant_id] += 1
        try:
            yield changed
        finally:
            self._by_tenant[tenant_id] -= 1
            self._followers[name].discard(changed)
            if not self._followers[name]:
                del self._followers[name]

    def close(self) -> None:
        """End the connection."""
        if self._task is not None:
            self._task.cancel()

    async def _listen(self) -> None:
        while True:
            try:
                async for job_id in listen(self._settings):
                    self._wake(job_id)
            except (psycopg.Error, OSError) as error:
                log.warning("notifications_lost", reason=str(error))
            await asyncio.sleep(RECONNECT_S)

    def _wake(self, job_id: str | None) -> None:
        # None: the connection is new, and anything may have happened before.
        names = list(self._followers) if job_id is None else [job_id]
        for name in names:
            for changed in self._followers.get(name, ()):
                changed.set()
