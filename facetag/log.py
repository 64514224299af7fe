"""Set up logging for every process: lines for people on a terminal, JSON for machines."""

import logging
import re
import sys

import structlog
from structlog.typing import EventDict, Processor

from facetag.results.name_escapes import escape_controls

_TRACES = re.compile(
    r"\b([0-9a-f]{8})(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b([0-9a-f]{8})[0-9a-f]{56}\b",
    re.IGNORECASE,
)
"""Ids of jobs, and hashes of photos: logs outlive both, so they hold the first digits alone."""


def configure_logging(*, level: str = "INFO", json: bool | None = None) -> None:
    """Send the records of structlog and of the standard library to stderr in one form.

    Each process calls this once, at its entry. Without `json`, JSON is written unless stderr is a
    terminal.
    """
    as_json = not sys.stderr.isatty() if json is None else json
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(as_json=as_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Below warnings, these log every request or message, which would bury our own lines.
    for noisy in ("botocore", "boto3", "urllib3", "kombu", "amqp", "httpx", "httpcore", "alembic"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


def log_as_a_library() -> None:
    """Leave records to the standard library's logging, unless this process has decided already."""
    if not structlog.is_configured():
        structlog.configure(
            processors=[
                structlog.processors.format_exc_info,
                structlog.processors.KeyValueRenderer(key_order=["event"]),
            ],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
        )


def _escape_values(_logger: object, _method: str, record: EventDict) -> EventDict:
    """Escape what could steer the terminal that shows a record, and shorten ids and hashes."""
    for name, value in record.items():
        if isinstance(value, str):
            record[name] = escape_controls(_TRACES.sub(lambda found: found[1] or found[2], value))
    return record


def _rendering(*, as_json: bool) -> list[Processor]:
    if as_json:
        return [
            structlog.processors.format_exc_info,
            _escape_values,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    # rich's tracebacks would print local variables, and passwords with them.
    return [
        _escape_values,
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
