"""Keep pages of other sites from using the API, which serves its own page and programs."""

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facetag.settings import Settings
from facetag_api.problems import problem_body, problem_response

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_FETCH_SITES = frozenset({"same-origin", "none"})
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of every response that does not set its own. There is no CORS header."""


LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
ANY_ADDRESS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared with, not listened on


def allowed_hosts(settings: Settings) -> frozenset[str]:
    """Return the names under which the API may be addressed, without ports."""
    own = {settings.api_host.lower()} - ANY_ADDRESS
    given = {name for one in settings.allowed_hosts if (name := host_name(one)) is not None}
    return LOOPBACK_HOSTS | own | given


_BEHIND_BRACKET = re.compile(r"\][^:]")


class Security:
    """Add security headers, forbid caching, and refuse what other sites' pages send."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        app = self.app
        if not self._knows_host(scope):
            app = _foreign_host()
        elif is_of_another_site(scope):
            app = _refusal()
        await app(scope, receive, send_with_headers)

    def _knows_host(self, scope: Scope) -> bool:
        """Return whether the request names one of our hosts.

        A page of another site could point a name of its own at this address (DNS rebinding) and
        would then count as the same site. Probes of `/healthz`, which tells nothing, may use any.
        """
        given = Headers(scope=scope).getlist("host")
        if scope["path"] == "/healthz":
            return True
        return len(given) == 1 and host_name(given[0]) in self.hosts


def host_name(given: str) -> str | None:
    """Return the name in a Host header, without its port; None if the header is malformed."""
    try:
        parts = urlsplit(f"//{given}")
        parts.port  # noqa: B018 - raises ValueError
    except ValueError:
        return None
    # Some versions of Python read `[::1].evil.example` as `::1`.
    whole = parts.netloc == given and parts.username is None and not _BEHIND_BRACKET.search(given)
    return parts.hostname if whole else None


def is_of_another_site(scope: Scope) -> bool:
    """Return whether a browser reports that another site's page sends a change.

    Otherwise a form on any site could post to a service on the visitor's own machine. Browsers
    send no `Sec-Fetch-Site` to plain HTTP off loopback, but always the `Origin` of a change.
    Programs send neither.
    """
    if scope["method"] in SAFE_METHODS:
        return False
    headers = Headers(scope=scope)
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site not in OWN_FETCH_SITES:
        return True
    return origin is not None and not is_own_origin(origin, headers.get("host"))


def is_own_origin(origin: str, host: str | None) -> bool:
    """Return whether an Origin header names a page of this host, over HTTP with or without TLS."""
    scheme, _, rest = origin.partition("://")
    return scheme in ("http", "https") and rest == host


def _refusal() -> JSONResponse:
    return problem_response(
        problem_body(
            status=403,
            title="Request from another site refused",
            detail="Another site's page sent this. Use the service's own page or a program.",
            slug="cross-site",
        )
    )


def _foreign_host() -> JSONResponse:
    return problem_response(
        problem_body(
            status=421,
            title="Host not known",
            detail="The API is not reached under this name: add it to FACETAG_ALLOWED_HOSTS.",
            slug="host-unknown",
        )
    )
