"""Answer errors with RFC 9457 problem documents; one table maps each error to its answer."""

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
    DiskFull,
    FacetagError,
    IdempotencyConflict,
    NotFound,
    QuotaReached,
    ReviewInvalid,
    ServiceUnavailable,
)

MEDIA_TYPE = "application/problem+json"
MAX_LISTED_ERRORS = 20
"""Most errors that one answer lists: a job may have 100,000 wrong keys."""

log = structlog.get_logger(__name__)


class RequestInvalid(FacetagError):
    """The request is well formed but cannot be met; `errors` says where."""

    def __init__(self, message: str, errors: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(message)
        self.errors = tuple(errors)


class WorkerSilent(FacetagError):
    """No worker answered in time."""


class TooBusy(ServiceUnavailable):
    """Too many requests of this kind are waiting already."""


class MediaTypeRefused(FacetagError):
    """The body is not declared as JSON."""


class ScopeMissing(FacetagError):
    """The caller's key does not allow this."""


class BodyTooLarge(HTTPException):
    """The body is larger than its route accepts.

    It is an HTTPException because FastAPI answers any other error during the body with a 400.
    """

    def __init__(self, max_bytes: int) -> None:
        super().__init__(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"The body is larger than {max_bytes} bytes: send less at a time.",
        )


class BodyTooSlow(HTTPException):
    """The body did not arrive in time."""

    def __init__(self, deadline_s: float) -> None:
        super().__init__(
            HTTPStatus.REQUEST_TIMEOUT,
            f"The body did not arrive within {deadline_s:g} s: send less at a time.",
            headers={"Connection": "close"},
        )


class KeyEnded(HTTPException):
    """The key was revoked, or its time was over, while the body arrived."""

    def __init__(self) -> None:
        super().__init__(
            HTTPStatus.UNAUTHORIZED,
            "The key is no longer valid.",
            headers={"Connection": "close"},
        )


class TooManyBodies(HTTPException):
    """As many bytes of bodies are held as one process may hold."""

    def __init__(self) -> None:
        super().__init__(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "Too many large requests arrive at a time: try again.",
            headers={"Retry-After": "5"},
        )


class TooManyRequests(FacetagError):
    """The caller sends more requests a minute, or keeps more jobs, than it may."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Hold how one kind of error is answered."""

    status: HTTPStatus
    slug: str
    title: str
    retry_after_s: int | None = None


_UNPROCESSABLE = HTTPStatus(422)
"""Given by number because its name changed in Python 3.13."""
_INVALID = Kind(_UNPROCESSABLE, "request-invalid", "The request is not valid")

KINDS: tuple[tuple[type[FacetagError], Kind], ...] = (
    (
        IdempotencyConflict,
        Kind(_UNPROCESSABLE, "idempotency-conflict", "Idempotency key used with another body"),
    ),
    (RequestInvalid, _INVALID),
    (ReviewInvalid, _INVALID),
    (CursorInvalid, Kind(_UNPROCESSABLE, "cursor-invalid", "The cursor is not valid")),
    (
        MediaTypeRefused,
        Kind(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media-type", "The body is not JSON"),
    ),
    (Conflict, Kind(HTTPStatus.CONFLICT, "conflict", "The resource's state does not allow this")),
    (NotFound, Kind(HTTPStatus.NOT_FOUND, "not-found", "Not found")),
    (
        TooManyRequests,
        Kind(HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests", "Too many requests", 10),
    ),
    (
        DiskFull,
        Kind(HTTPStatus.INSUFFICIENT_STORAGE, "disk-full", "The disk is full", 60),
    ),
    (QuotaReached, Kind(HTTPStatus.TOO_MANY_REQUESTS, "quota-reached", "Too many jobs", 60)),
    (ScopeMissing, Kind(HTTPStatus.FORBIDDEN, "scope-missing", "The key does not allow this")),
    (
        WorkerSilent,
        Kind(HTTPStatus.GATEWAY_TIMEOUT, "worker-silent", "No worker answered in time", 5),
    ),
    (TooBusy, Kind(HTTPStatus.SERVICE_UNAVAILABLE, "too-busy", "Too many requests are waiting", 1)),
    (
        ServiceUnavailable,
        Kind(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "service-unavailable",
            "Part of the service does not answer",
            5,
        ),
    ),
)
"""The first matching row counts, so subclasses stand above their parents."""


def problem_body(
    *,
    status: int,
    title: str,
    detail: str,
    slug: str | None = None,
    request_id: str | None = None,
    errors: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return a problem document; without a slug, its type is `about:blank` (RFC 9457, 4.2.1)."""
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
    """Return a response with a problem document and its status."""
    return JSONResponse(
        dict(body), status_code=body["status"], headers=headers, media_type=MEDIA_TYPE
    )


def internal_problem(request_id: str) -> JSONResponse:
    """Return the answer to an internal error: only the id under which it is logged."""
    return problem_response(
        problem_body(
            status=500,
            title="Internal error",
            detail=f"The service failed. Its log says why under the request id {request_id}.",
            slug="internal-error",
            request_id=request_id,
        )
    )


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every error of the application with a problem document."""
    app.add_exception_handler(FacetagError, answer_error)
    app.add_exception_handler(RequestValidationError, _answer_validation_error)
    app.add_exception_handler(HTTPException, _answer_http_exception)


def public_detail(error: Exception) -> str:
    """Return an error's message without the part in brackets, which may name our hosts."""
    text = str(error)
    return text.partition(" (")[0] if isinstance(error, ServiceUnavailable) else text


async def answer_error(request: Request, error: Exception) -> JSONResponse:
    """Return the problem document of an error in KINDS; raise any other again."""
    kind = next((kind for cls, kind in KINDS if isinstance(error, cls)), None)
    if kind is None:
        # An unexpected error is an internal one; the request log records it.
        raise error
    if kind.status == HTTPStatus.SERVICE_UNAVAILABLE:
        log.warning("service_unavailable", error=type(error).__name__, detail=str(error))
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
    """Return a sentence with the number of faults and where to find them."""
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
