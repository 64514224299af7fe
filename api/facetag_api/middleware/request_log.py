"""Give every request an id, a line in the log and an answer, whatever fails."""

import re
import time
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facetag_api.metrics.prometheus_metrics import Metrics
from facetag_api.problems import internal_problem

REQUEST_ID_HEADER = "X-Request-ID"
_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_QUIET_ROUTES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Routes that machines ask every few seconds; they are logged at debug level."""

log = structlog.get_logger(__name__)


class RequestLog:
    """Give a request its id, log and count it, and answer unexpected errors with 500."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = choose_request_id(Headers(scope=scope).get(REQUEST_ID_HEADER))
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started_s = time.perf_counter()
        status: int | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except ClientDisconnect:
            log.info("client_disconnected")
        except Exception:
            log.exception("request_failed", path=scope["path"])
            if status is not None:
                # Part of the response is sent, so only a broken connection can tell the client.
                raise
            await internal_problem(request_id)(scope, receive, send_with_id)
        finally:
            self._record(scope, status, time.perf_counter() - started_s)

    def _record(self, scope: Scope, status: int | None, elapsed_s: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        self.metrics.observe_request(scope["method"], route, status or 499, elapsed_s)
        write = log.debug if route in _QUIET_ROUTES else log.info
        write(
            "request",
            method=scope["method"],
            path=scope["path"],
            status=status,
            ms=round(elapsed_s * 1000, 1),
        )


def choose_request_id(given: str | None) -> str:
    """Return the caller's id if it is fit for a log, else a new one."""
    if given is not None and _ACCEPTABLE_ID.fullmatch(given):
        return given
    return uuid.uuid4().hex
