"""Build the HTTP API as an ASGI application, without TensorFlow or NumPy."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI

from facetag.settings import Settings
from facetag_api.dependencies import open_services
from facetag_api.limits import SYNC_THREADS, BodyLimit, body_limits
from facetag_api.metrics.prometheus_metrics import Metrics
from facetag_api.middleware.authentication import Authentication
from facetag_api.middleware.request_log import RequestLog
from facetag_api.middleware.security import Security, allowed_hosts
from facetag_api.openapi import DESCRIPTION, TITLE, describe
from facetag_api.page.page_files import page_router
from facetag_api.problems import install_problem_handlers
from facetag_api.routes import (
    administration,
    caller,
    health,
    job_events,
    jobs,
    login,
    models,
    plans,
    predict,
    results,
    review,
    uploads,
)


def create_app(settings: Settings) -> FastAPI:
    """Build the application; its clients are made when it starts. Raises SettingsInvalid."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = SYNC_THREADS
        services = open_services(settings)
        app.state.services = services
        # What was made so far stays: a collection need not look at it again after each large page.
        gc.freeze()
        try:
            yield
        finally:
            services.close()

    app = FastAPI(
        title=TITLE,
        description=DESCRIPTION,
        version=version("facetag"),
        lifespan=lifespan,
        # These pages load scripts from other hosts, which our security policy refuses.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.metrics = Metrics()
    every = (uploads, jobs, plans, results, job_events, review, predict, models, administration)
    for routes in (*every, caller, health, login):
        app.include_router(routes.router)
    app.include_router(page_router())
    install_problem_handlers(app)
    # The middleware added last is the outermost.
    app.add_middleware(BodyLimit, limits=body_limits(settings))
    per_minute = settings.max_requests_per_minute
    app.add_middleware(Authentication, requests_per_minute=per_minute)
    app.add_middleware(Security, hosts=allowed_hosts(settings))
    app.add_middleware(RequestLog, metrics=app.state.metrics)
    describe(app)
    return app
