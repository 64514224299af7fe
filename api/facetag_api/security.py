"""Keep pages of other sites from using the API, which serves its own page and programs."""

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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


class Security:
    """Add security headers, forbid caching, and refuse changes sent by other sites' pages."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

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

        app = _refusal() if is_of_another_site(scope) else self.app
        await app(scope, receive, send_with_headers)


def is_of_another_site(scope: Scope) -> bool:
    """Return whether a browser reports that another site's page sends a change.

    Otherwise a form on any site could post to a service on the visitor's own machine. Programs
    send no `Sec-Fetch-Site`.
    """
    site = Headers(scope=scope).get("sec-fetch-site")
    return scope["method"] not in SAFE_METHODS and site is not None and site not in OWN_FETCH_SITES


def _refusal() -> JSONResponse:
    return problem_response(
        problem_body(
            status=403,
            title="Request from another site refused",
            detail="Another site's page sent this. Use the service's own page or a program.",
            slug="cross-site",
        )
    )
