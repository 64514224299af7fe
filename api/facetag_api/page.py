"""Serve the page at `/`, which labels one photo by POST /v1/predict, like any client."""

from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import Response

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
PARTS = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}


def page_router() -> APIRouter:
    """Return the routes of the page, whose three files are read once."""
    router = APIRouter(include_in_schema=False)
    folder = files("facetag_api") / "static"
    for path, (name, media_type) in PARTS.items():
        _serve(router, path, (folder / name).read_bytes(), media_type)
    return router


def _serve(router: APIRouter, path: str, content: bytes, media_type: str) -> None:
    @router.api_route(path, methods=["GET", "HEAD"])
    async def serve_part() -> Response:
        return Response(
            content,
            media_type=media_type,
            headers={
                "Content-Security-Policy": CONTENT_SECURITY_POLICY,
                "Cache-Control": "no-cache",
            },
        )
