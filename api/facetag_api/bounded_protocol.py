"""Bound the connections of one process, and the time that a request's head may take."""

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.auto import AutoHTTPProtocol

HEAD_DEADLINE_S = 10.0
MAX_CONNECTIONS = 512
"""Open connections of a process; most systems allow it 1,024 files."""


class BoundedProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's HTTP protocol, which by itself waits for ever for the end of a request's head."""

    opened: ClassVar[int] = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Accept a connection, unless there are too many."""
        super().connection_made(transport)
        BoundedProtocol.opened += 1
        if BoundedProtocol.opened > MAX_CONNECTIONS:
            transport.close()
            return
        self._head_timer = self.loop.call_later(HEAD_DEADLINE_S, self._close_if_waiting)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection out."""
        BoundedProtocol.opened -= 1
        if self._head_timer is not None:
            self._head_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Give a later request on a kept connection the same time for its head."""
        if self._head_timer is None and self._waits():
            self._head_timer = self.loop.call_later(HEAD_DEADLINE_S, self._close_if_waiting)
        super().data_received(data)

    def _waits(self) -> bool:
        return self.cycle is None or bool(self.cycle.response_complete)

    def _close_if_waiting(self) -> None:
        self._head_timer = None
        if self._waits() and not self.transport.is_closing():
            self.transport.close()
