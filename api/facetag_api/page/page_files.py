"""Serve the page at `/`, which uses the API like any other client, and its parts below `/page/`.

Below `/page/collection/` are the charts and the gallery that the report has too.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request
from fastapi.responses import Response

from facetag.results import web
from facetag_api.dependencies import Services

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
AT_THE_ROOT = {
    "page.html": "/",
    # A service worker rules only addresses below its own folder.
    "service-worker.js": "/service-worker.js",
}


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the page, with the tag that tells a browser whether its copy is the same."""

    path: str
    content: bytes
    media_type: str
    etag: str


def page_router() -> APIRouter:
    """Return the routes of the page, whose files are read once."""
    router = APIRouter(include_in_schema=False)
    for part in _read_parts(files("facetag_api.page") / "static"):
        _serve(router, part)
    for name in (*web.SCRIPTS, web.STYLES):
        _serve(router, _make_part(f"collection/{name}", web.read_part(name).encode()))
    return router


def content_security_policy(origins: Sequence[str]) -> str:
    """Return the page's policy: its own files, and photos from and to object storage alone."""
    stores = " ".join(["", *origins])
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "worker-src 'self'",
            "style-src 'self'",
            f"img-src 'self' blob: data:{stores}",
            f"connect-src 'self'{stores}",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _read_parts(folder: Traversable, below: str = "") -> Iterator[Part]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        name = f"{below}{entry.name}"
        if entry.is_dir():
            yield from _read_parts(entry, f"{name}/")
            continue
        yield _make_part(name, entry.read_bytes())


def _make_part(name: str, content: bytes) -> Part:
    return Part(
        path=AT_THE_ROOT.get(name, f"/page/{name}"),
        content=content,
        media_type=MEDIA_TYPES[name[name.rindex(".") :]],
        etag=f'"{hashlib.sha256(content).hexdigest()[:32]}"',
    )


def _serve(router: APIRouter, part: Part) -> None:
    @router.api_route(part.path, methods=["GET", "HEAD"])
    async def serve_part(request: Request) -> Response:
        services: Services = request.app.state.services
        headers = {
            "Content-Security-Policy": content_security_policy(services.photo_origins),
            "Cache-Control": "no-cache",
            "ETag": part.etag,
        }
        if request.headers.get("if-none-match") == part.etag:
            return Response(status_code=304, headers=headers)
        return Response(part.content, media_type=part.media_type, headers=headers)
