"""Bound the connections of one process, and the time and size of a request's head."""

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_DEADLINE_S = 10.0
MAX_HEAD_BYTES = 2**16
MAX_CONNECTIONS = 512
"""Open connections of a process; most systems allow it 1,024 files."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, which by itself waits for ever for the end of a request's head.

    Its parser also keeps heads and trailers of any size.
    """

    opened: ClassVar[int] = 0
    _head_timer: asyncio.TimerHandle | None = None
    _unparsed_bytes = 0
    _got_further = False
    _in_body = False

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
        self._got_further = False
        super().data_received(data)
        self._unparsed_bytes = 0 if self._got_further else self._unparsed_bytes + len(data)
        if self._unparsed_bytes > MAX_HEAD_BYTES:
            self.transport.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header of the head; a trailer could state another one after the checks."""
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Note that the head is whole."""
        self._got_further = self._in_body = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Note that a part of the body came."""
        self._got_further = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request is whole."""
        self._got_further, self._in_body = True, False
        super().on_message_complete()

    def _waits(self) -> bool:
        return self.cycle is None or bool(self.cycle.response_complete)

    def _close_if_waiting(self) -> None:
        self._head_timer = None
        if self._waits() and not self.transport.is_closing():
            self.transport.close()
