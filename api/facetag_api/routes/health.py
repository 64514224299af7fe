"""Answer whether the service lives and is ready, and give its metrics."""

import math

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from facetag.disk_space import free_space
from facetag.errors import DatabaseUnavailable, QueueUnavailable
from facetag.queue.celery_app import count_dropped
from facetag.settings import Settings
from facetag_api.dependencies import AtDesk, Desk
from facetag_api.metrics.prometheus_metrics import Metrics
from facetag_api.readiness import OK, check_parts
from facetag_api.schemas import Health, Readiness

NEEDED_PARTS = ("database", "queue", "storage", "disk")
"""Parts that a job needs to be accepted. Without a worker, jobs wait."""

router = APIRouter(tags=["service"])


@router.get("/healthz")
async def get_health() -> Health:
    """Answer that this process is alive (the availability endpoint of the paper's service)."""
    return Health()


@router.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}})
def get_readiness(desk: AtDesk) -> JSONResponse:
    """Return the state of each part; 503 if one that accepts jobs and photos does not work.

    The status is `degraded` if jobs are accepted, but another part does not work.
    """
    parts = check_parts(desk.services)
    ready = all(parts[part] == OK for part in NEEDED_PARTS)
    accepting = OK if all(state == OK for state in parts.values()) else "degraded"
    return JSONResponse(
        {"status": accepting if ready else "unavailable", "parts": parts}, 200 if ready else 503
    )


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def get_metrics(request: Request, desk: AtDesk) -> Response:
    """Return metrics for Prometheus, even if Postgres is down."""
    metrics: Metrics = request.app.state.metrics
    parts = {part: said == OK for part, said in check_parts(desk.services).items()}
    metrics.observe_parts(parts)
    metrics.observe_disk(free_space(desk.services.settings.data_dir))
    observe_rows(metrics, desk, answering=parts["database"])
    observe_queue(metrics, desk.services.settings, answering=parts["queue"])
    return Response(metrics.render(), media_type=CONTENT_TYPE_LATEST)


def observe_rows(metrics: Metrics, desk: Desk, *, answering: bool) -> None:
    """Set what Postgres knows; one that did not answer just now is not waited for again."""
    if not answering:
        metrics.forget_backlog()
        return
    try:
        with desk.transaction() as session:
            metrics.observe_backlog(session, tenant_id=desk.tenant_id)
            metrics.fleet.observe_rows(session)
    except DatabaseUnavailable:
        metrics.forget_backlog()


def observe_queue(metrics: Metrics, settings: Settings, *, answering: bool) -> None:
    """Set what Redis knows; a Redis that did not answer just now is not waited for again."""
    try:
        dropped: float = count_dropped(settings) if answering else math.nan
    except QueueUnavailable:
        dropped, answering = math.nan, False
    metrics.observe_dropped(dropped)
    metrics.fleet.observe_queues(settings, answering=answering)
