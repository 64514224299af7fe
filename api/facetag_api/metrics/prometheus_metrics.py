"""Count requests of this process and read the backlog from Postgres, for Prometheus."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from facetag.db.tables import ImageState, Job
from facetag_api.metrics.fleet_metrics import FleetMetrics

LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """Hold the metrics of one application in a registry of its own: tests build several."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "facetag_http_requests",
            "Requests by method, route template and status.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._latency = Histogram(
            "facetag_http_request_seconds",
            "Seconds until the whole response was sent.",
            ("method", "route"),
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self._jobs = Gauge(
            "facetag_open_jobs", "Unfinished jobs, by state.", ("state",), registry=self.registry
        )
        self._images = Gauge(
            "facetag_open_job_images",
            "Images of unfinished jobs, by state.",
            ("state",),
            registry=self.registry,
        )
        self._database = Gauge(
            "facetag_database_up", "Whether Postgres answered this scrape.", registry=self.registry
        )

        self._parts = Gauge(
            "facetag_part_up",
            "Whether a part of the service works, as GET /readyz says.",
            ("part",),
            registry=self.registry,
        )
        self.fleet = FleetMetrics(self.registry)
        self._free_disk = Gauge(
            "facetag_free_disk_bytes",
            "Free space on the disk of the API's data folder.",
            registry=self.registry,
        )
        self._dropped = Gauge(
            "facetag_dropped_messages",
            "Messages in Redis that were dropped as they were no doorbells; NaN without Redis.",
            registry=self.registry,
        )

    def observe_request(self, method: str, route: str, status: int, elapsed_s: float) -> None:
        """Count one request; `route` is the template, so that ids do not create series."""
        # Callers may invent any number of methods.
        known = method if method in _KNOWN_METHODS else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._latency.labels(known, route).observe(elapsed_s)

    def observe_backlog(self, session: Session, *, tenant_id: str) -> None:
        """Read the counters of a tenant's open jobs, by one query over the index of open jobs."""
        counters = [func.sum(getattr(Job, state.value)) for state in ImageState]
        query = (
            select(Job.state, func.count(), *counters)
            .where(Job.finished_at.is_(None), Job.tenant_id == tenant_id)
            .group_by(Job.state)
        )
        rows = session.execute(query).all()
        self._jobs.clear()
        for state, jobs, *_ in rows:
            self._jobs.labels(state).set(jobs)
        for index, state in enumerate(ImageState):
            self._images.labels(state.value).set(sum(int(row[2 + index] or 0) for row in rows))
        self._database.set(1)

    def observe_parts(self, working: Mapping[str, bool]) -> None:
        """Report which parts of the service work."""
        for part, works in working.items():
            self._parts.labels(part).set(works)

    def observe_disk(self, free_bytes: int) -> None:
        """Report the free space of our own disk."""
        self._free_disk.set(free_bytes)

    def observe_dropped(self, messages: float) -> None:
        """Report how many messages workers dropped; NaN if nobody knows."""
        self._dropped.set(messages)

    def forget_backlog(self) -> None:
        """Report that Postgres did not answer, instead of repeating old figures."""
        self._jobs.clear()
        self._images.clear()
        self.fleet.forget_rows()
        self._database.set(0)

    def render(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        return generate_latest(self.registry)
