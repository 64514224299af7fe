"""Let only holders of a key in, except to `/healthz` and the page's one-time link."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from html import escape
from http.cookies import CookieError, SimpleCookie

import anyio
from anyio.to_thread import run_sync
from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session, sessionmaker
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facetag.access.keys import Caller, find_caller, record_use
from facetag.access.tokens import Token
from facetag.db.engine import read, transaction
from facetag.db.tables import KeyKind
from facetag.errors import DatabaseUnavailable
from facetag_api.middleware.request_rates import RequestRates
from facetag_api.problems import (
    KeyEnded,
    TooManyRequests,
    answer_error,
    problem_body,
    problem_response,
)

OPEN_PATHS = frozenset({"/healthz", "/login"})
COOKIE = "facetag_session"
FRESH_S = 5.0
"""Seconds for which a key that was found is not looked up again; so long a revoked one works."""
OUTAGE_S = 600.0
"""Seconds for which a known key is still good while the database does not answer."""
MAX_REMEMBERED = 4096
LOOKUP_THREADS = 4
LOOKUP_TIMEOUT_S = 3.0

_HOW = (
    "Send the key as `Authorization: Bearer KEY`. `facetag keys create` makes one; "
    "`facetag keys link` prints a link that opens the page."
)


@dataclass(slots=True)
class _Known:
    caller: Caller
    confirmed_s: float
    """When the database last said that the key is valid."""
    asked_s: float
    """When the database was last asked, in vain or not."""
    recorded_s: float
    """When the use of the key was last written down."""


class KeyRing:
    """Find the caller of a token, and remember it for some seconds; threads may share it."""

    def __init__(
        self, readers: sessionmaker[Session], sessions: sessionmaker[Session], *, use_every_s: float
    ) -> None:
        self._readers = readers
        self._sessions = sessions
        self._use_every_s = use_every_s
        self._known: OrderedDict[tuple[KeyKind, bytes], _Known] = OrderedDict()
        self._lock = threading.Lock()

    def recall(self, token: Token, kind: KeyKind) -> Caller | None:
        """Return a caller that was looked up within FRESH_S; this asks no database."""
        with self._lock:
            known = self._known.get(_name(token, kind))
        fresh = known is not None and time.monotonic() - known.asked_s < FRESH_S
        return known.caller if known is not None and fresh else None

    def find(self, token: Token, kind: KeyKind) -> Caller | None:
        """Ask the database; return None for a token that is of no use.

        Raises DatabaseUnavailable if it does not answer and the token is not known.
        """
        try:
            caller = read(self._readers, lambda session: find_caller(session, token, kind=kind))
        except DatabaseUnavailable:
            known = self.recall_in_outage(token, kind)
            if known is None:
                raise
            return known
        if caller is None:
            with self._lock:
                self._known.pop(_name(token, kind), None)
            return None
        if self.remember(token, kind, caller):
            with transaction(self._sessions) as session:
                record_use(session, caller.key_id)
        return caller

    def recall_in_outage(self, token: Token, kind: KeyKind) -> Caller | None:
        """Return a caller that the database confirmed within OUTAGE_S, as it cannot be asked."""
        now_s = time.monotonic()
        with self._lock:
            known = self._known.get(_name(token, kind))
            if known is None or now_s - known.confirmed_s > OUTAGE_S:
                return None
            known.asked_s = now_s
            return known.caller

    def remember(self, token: Token, kind: KeyKind, caller: Caller) -> bool:
        """Keep the caller of a token; return whether its use must be written down again."""
        now_s = time.monotonic()
        with self._lock:
            before = self._known.pop(_name(token, kind), None)
            due = before is None or now_s - before.recorded_s >= self._use_every_s
            recorded_s = now_s if before is None or due else before.recorded_s
            self._known[_name(token, kind)] = _Known(caller, now_s, now_s, recorded_s)
            while len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)
        return due


class Authentication:
    """Refuse requests without a valid key; put the caller of the others into their state."""

    def __init__(self, app: ASGIApp, requests_per_minute: int) -> None:
        self.app = app
        self._rates = RequestRates(requests_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self.app(scope, receive, send)
            return
        try:
            caller = await find_request_caller(scope)
        except DatabaseUnavailable as error:
            await (await answer_error(Request(scope), error))(scope, receive, send)
            return
        if caller is None:
            await _refusal(scope)(scope, receive, send)
            return
        if not self._rates.take(caller.key_id):
            excess = TooManyRequests(
                f"The key `{caller.name}` may send {self._rates.per_minute} requests a minute "
                "(FACETAG_MAX_REQUESTS_PER_MINUTE)."
            )
            await (await answer_error(Request(scope), excess))(scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = caller
        await self.app(scope, while_valid(scope, receive), send)


def while_valid(scope: Scope, receive: Receive) -> Receive:
    """Return a `receive` that raises KeyEnded if the key ends while a slow body arrives."""
    began_s = time.monotonic()

    async def receive_checked() -> Message:
        message = await receive()
        is_last = message["type"] == "http.request" and not message.get("more_body")
        late = time.monotonic() - began_s > FRESH_S
        if is_last and late and await find_request_caller(scope) is None:
            raise KeyEnded
        return message

    return receive_checked


async def find_request_caller(scope: Scope) -> Caller | None:
    """Return whose key or session a request carries; None if it carries no valid one."""
    headers = Headers(scope=scope)
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if given:
        kind, text = KeyKind.KEY, given.strip() if scheme.lower() == "bearer" else ""
    else:
        kind, text = KeyKind.SESSION, _read_cookie(headers)
    token = Token.parse(text)
    if token is None:
        return None
    services = scope["app"].state.services
    ring: KeyRing = services.key_ring
    known = ring.recall(token, kind)
    if known is not None:
        return known
    with anyio.move_on_after(LOOKUP_TIMEOUT_S):
        return await run_sync(
            ring.find, token, kind, abandon_on_cancel=True, limiter=services.key_threads
        )
    caller = ring.recall_in_outage(token, kind)
    if caller is None:
        raise DatabaseUnavailable(
            f"PostgreSQL did not look the key up within {LOOKUP_TIMEOUT_S:g} s: try again."
        )
    return caller


def make_key_threads() -> anyio.CapacityLimiter:
    """Return the limiter of the threads that look keys up."""
    return anyio.CapacityLimiter(LOOKUP_THREADS)


def _name(token: Token, kind: KeyKind) -> tuple[KeyKind, bytes]:
    # By its hash, so that the time that a look-up takes tells nothing about other secrets.
    return kind, token.id.encode() + token.sha256


def _read_cookie(headers: Headers) -> str:
    """Return the session's cookie; nothing if there are two, as another page may have set one."""
    given = headers.get("cookie", "")
    if given.count(f"{COOKIE}=") > 1:
        return ""
    try:
        cookies = SimpleCookie(given)
    except CookieError:
        return ""
    return cookies[COOKIE].value if COOKIE in cookies else ""


def _refusal(scope: Scope) -> Response:
    headers = {"WWW-Authenticate": 'Bearer realm="facetag"'}
    if scope["path"] == "/" and "text/html" in Headers(scope=scope).get("accept", ""):
        return page_of_words("This page needs a key", _PAGE_HOW, status=401, headers=headers)
    return problem_response(
        problem_body(
            status=401,
            title="A key is needed",
            detail=f"The request carries no valid key. {_HOW}",
            slug="key-needed",
            request_id=scope.get("state", {}).get("request_id"),
        ),
        headers,
    )


_PAGE_HOW = "Open the link that `facetag up` printed, or get a new one from `facetag keys link`."


def page_of_words(
    title: str, words: str, *, status: int, headers: dict[str, str] | None = None
) -> Response:
    """Return a page that only says something."""
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>facetag</title>'
        f"<h1>{escape(title)}</h1><p>{escape(words)}</p></html>",
        status_code=status,
        headers=headers,
    )
