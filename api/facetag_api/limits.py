"""Limit how much one request may send and how many requests are served at a time."""

import asyncio
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facetag.settings import Settings
from facetag_api.problems import BodyTooLarge, BodyTooSlow, TooManyBodies

SYNC_THREADS = 12
"""Threads for synchronous endpoints, which wait for Postgres and storage, not for the CPU."""
PREDICT_THREADS = 4
"""Threads for the short steps of `predict`, which waits on the event loop."""
LOOKUP_THREADS = 16
"""Threads that ask object storage which files exist already."""
CHECK_THREADS = 8
"""Threads of `readyz` alone, so that it answers even if the others are stuck."""
DATABASE_CONNECTIONS = (SYNC_THREADS + PREDICT_THREADS) // 2
"""Connections kept open. Under load the engine adds as many again: one per thread."""
READ_CONNECTIONS = SYNC_THREADS
"""Connections for single-statement reads. All stay open: a new one costs more than many reads."""
MAX_WAITING_PREDICTS = 64
LARGE_COMPOSITION = 10_000
"""Images of a job whose composition takes seconds, of which a million take a minute."""
MAX_LARGE_COMPOSITIONS = 2
"""Such compositions that are counted at a time, so that other requests find threads."""
MAX_PREDICT_TRANSFERS = 2
"""Photos of `predict` that are in memory at a time while they are stored."""

BYTES_PER_JOB_IMAGE = 320
"""Bytes allowed per `{"key": ..., "name": ...}` of a job; our own keys take 100."""
MAX_SMALL_BODY = 64 * 2**10
MAX_UPLOADS_BODY = 2**20
FORM_OVERHEAD = 64 * 2**10
BODY_DEADLINE_S = 60.0
"""Seconds for a whole body, however steadily it trickles."""
MAX_BODY_BYTES_IN_FLIGHT = 192 * 2**20
"""Bytes of bodies that one process holds at a time; its container has 512 MB."""


def body_limits(settings: Settings) -> dict[str, int]:
    """Return the largest body, in bytes, of each path that accepts more than MAX_SMALL_BODY."""
    job_body = max(settings.max_job_images * BYTES_PER_JOB_IMAGE, MAX_SMALL_BODY)
    return {
        "/v1/jobs": job_body,
        "/v1/jobs/plan": job_body,
        "/v1/uploads": MAX_UPLOADS_BODY,
        "/v1/predict": settings.max_image_bytes + FORM_OVERHEAD,
    }


class BodyLimit:
    """Refuse a body that is too large for its path, too slow, or one too many at a time."""

    def __init__(
        self,
        app: ASGIApp,
        limits: dict[str, int],
        *,
        deadline_s: float = BODY_DEADLINE_S,
        max_in_flight: int = MAX_BODY_BYTES_IN_FLIGHT,
    ) -> None:
        self.app = app
        self.limits = limits
        self._deadline_s = deadline_s
        self._max_in_flight = max_in_flight
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        max_bytes = self.limits.get(scope["path"], MAX_SMALL_BODY)
        declared = Headers(scope=scope).get("content-length", "")
        too_large = declared.isdigit() and int(declared) > max_bytes
        received = 0
        whole = False
        due_s = time.monotonic() + self._deadline_s

        async def receive_counted() -> Message:
            nonlocal received, whole
            if whole:
                # What follows is the client's leaving, which may take any time.
                return await receive()
            if too_large:
                raise BodyTooLarge(max_bytes)
            try:
                message = await asyncio.wait_for(receive(), max(0.0, due_s - time.monotonic()))
            except TimeoutError as error:
                raise BodyTooSlow(self._deadline_s) from error
            size = len(message.get("body", b""))
            received += size
            self._in_flight += size
            whole = not message.get("more_body", False)
            if received > max_bytes:
                raise BodyTooLarge(max_bytes)
            if self._in_flight > self._max_in_flight:
                raise TooManyBodies
            return message

        try:
            await self.app(scope, receive_counted, send)
        finally:
            self._in_flight -= received
