"""Errors as RFC 9457 problem documents: one table says which fact becomes which answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from facetag.errors import (
    Conflict,
    CursorInvalid,
    FacetagError,
    IdempotencyConflict,
    NotFound,
    ServiceUnavailable,
)

MEDIA_TYPE = "application/problem+json"
MAX_LISTED_ERRORS = 20
"""A job may have 100,000 wrong keys; nobody reads more than the first few."""

log = structlog.get_logger(__name__)


class RequestInvalid(FacetagError):
    """The request is well formed but asks for what cannot be; `errors` says where."""

    def __init__(self, message: str, errors: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(message)
        self.errors = tuple(errors)


class WorkerSilent(FacetagError):
    """No worker answered in time."""


class TooBusy(ServiceUnavailable):
    """More requests of this kind are waiting than this process serves at a time."""


class MediaTypeRefused(FacetagError):
    """The body is not declared as JSON."""


class BodyTooLarge(HTTPException):
    """The body is larger than its route accepts.

    An HTTPException since FastAPI turns every other error while it reads a body into a 400.
    """

    def __init__(self, max_bytes: int) -> None:
        super().__init__(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"The body is larger than {max_bytes} bytes: send less at a time.",
        )


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of error is answered."""

    status: HTTPStatus
    slug: str
    title: str
    retry_after_s: int | None = None


_UNPROCESSABLE = HTTPStatus(422)
"""By number, since Python 3.13 gives it another name."""

KINDS: tuple[tuple[type[FacetagError], Kind], ...] = (
    (
        IdempotencyConflict,
        Kind(_UNPROCESSABLE, "idempotency-conflict", "Idempotency key used with another body"),
    ),
    (RequestInvalid, Kind(_UNPROCESSABLE, "request-invalid", "The request is not valid")),
    (CursorInvalid, Kind(_UNPROCESSABLE, "cursor-invalid", "The cursor is not valid")),
    (MediaTypeRefused, Kind(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media-type", "Not JSON")),
    (Conflict, Kind(HTTPStatus.CONFLICT, "conflict", "Not possible in the present state")),
    (NotFound, Kind(HTTPStatus.NOT_FOUND, "not-found", "Not found")),
    (
        WorkerSilent,
        Kind(HTTPStatus.GATEWAY_TIMEOUT, "worker-silent", "No worker answered in time", 5),
    ),
    (TooBusy, Kind(HTTPStatus.SERVICE_UNAVAILABLE, "too-busy", "Too many requests at a time", 1)),
    (
        ServiceUnavailable,
        Kind(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "service-unavailable",
            "A part of the service does not answer",
            5,
        ),
    ),
)
"""The first row whose class fits counts, so subclasses stand above their parents."""


def problem_body(
    *,
    status: int,
    title: str,
    detail: str,
    slug: str | None = None,
    request_id: str | None = None,
    errors: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return a problem document; without a slug its type is `about:blank` (RFC 9457, 4.2.1)."""
    body: dict[str, Any] = {
        "type": "about:blank" if slug is None else f"urn:facetag:problem:{slug}",
        "title": title,
        "status": int(status),
        "detail": detail,
    }
    if request_id is not None:
        body["request_id"] = request_id
    if errors:
        body["errors"] = [dict(error) for error in errors[:MAX_LISTED_ERRORS]]
    return body


def problem_response(
    body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return a problem document as a response of its own status and media type."""
    return JSONResponse(
        dict(body), status_code=body["status"], headers=headers, media_type=MEDIA_TYPE
    )


def internal_problem(request_id: str) -> JSONResponse:
    """Return the answer to a fault of ours: no detail, but the id under which it is logged."""
    return problem_response(
        problem_body(
            status=500,
            title="Internal error",
            detail=f"Something went wrong here. The service's log says more under {request_id}.",
            slug="internal-error",
            request_id=request_id,
        )
    )


def install_problem_handlers(app: FastAPI) -> None:
    """Make every error of the application a problem document."""
    app.add_exception_handler(FacetagError, _answer_facetag_error)
    app.add_exception_handler(RequestValidationError, _answer_validation_error)
    app.add_exception_handler(HTTPException, _answer_http_exception)


def public_detail(error: Exception) -> str:
    """Return an error's message without the bracket that quotes a server: it names hosts."""
    text = str(error)
    return text.partition(" (")[0] if isinstance(error, ServiceUnavailable) else text


async def _answer_facetag_error(request: Request, error: Exception) -> JSONResponse:
    kind = next((kind for cls, kind in KINDS if isinstance(error, cls)), None)
    if kind is None:
        # Not foreseen on the way of a request: a fault of ours, logged by the request log.
        raise error
    if kind.status == HTTPStatus.SERVICE_UNAVAILABLE:
        log.warning("service unavailable", error=type(error).__name__, detail=str(error))
    body = problem_body(
        status=kind.status,
        title=kind.title,
        detail=public_detail(error) or kind.title,
        slug=kind.slug,
        request_id=_request_id(request),
        errors=getattr(error, "errors", ()),
    )
    retry = {} if kind.retry_after_s is None else {"Retry-After": str(kind.retry_after_s)}
    return problem_response(body, retry)


def count_faults(number: int) -> str:
    """Say how many faults a request has, and where to read of them."""
    some = "1 fault" if number == 1 else f"{number} faults"
    shown = (
        f"`errors` shows the first {MAX_LISTED_ERRORS}"
        if number > MAX_LISTED_ERRORS
        else ("see `errors`")
    )
    return f"The request has {some}: {shown}."


async def _answer_validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - narrows the type for mypy
    faults = error.errors()
    errors = [
        {"loc": list(fault["loc"]), "message": str(fault["msg"])}
        for fault in faults[:MAX_LISTED_ERRORS]
    ]
    return problem_response(
        problem_body(
            status=422,
            title="The request is not valid",
            detail=count_faults(len(faults)),
            slug="request-invalid",
            request_id=_request_id(request),
            errors=errors,
        )
    )


async def _answer_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - narrows the type for mypy
    body = problem_body(
        status=error.status_code,
        title=HTTPStatus(error.status_code).phrase,
        detail=str(error.detail),
        request_id=_request_id(request),
    )
    return problem_response(body, error.headers)


def _request_id(request: Request) -> str | None:
    return getattr(request.state, "request_id", None)
