"""Read from Postgres and Redis what a fleet of workers is doing, for Prometheus."""

import math
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy import text
from sqlalchemy.orm import Session

from facetag.db.engine import WORKER_APPLICATION
from facetag.db.presence import seconds_since_heard, seconds_since_round
from facetag.db.program_reports import fresh_reports
from facetag.errors import QueueUnavailable
from facetag.queue.celery_app import QUEUE_PREDICT, QUEUE_RETRAIN, QUEUE_TAG, count_doorbells
from facetag.settings import Settings
from facetag_api.metrics.program_metrics import ProgramMetrics

# Each follows an index, and reads unfinished jobs alone.
WAITING_S = text("""
    SELECT coalesce(extract(epoch FROM max(now() - coalesce(rung_at, created_at))), 0) FROM jobs
    WHERE finished_at IS NULL AND state IN ('queued', 'running') AND queued > 0
""")
EXPIRED = text("SELECT count(*) FROM images WHERE state = 'running' AND lease_until < now()")
SUSPECTS = text("""
    SELECT count(*) FROM jobs JOIN images ON images.job_id = jobs.id
    WHERE jobs.finished_at IS NULL AND images.state = 'queued' AND images.suspicion > 0
""")
FAILED = text("""
    SELECT images.error_code, count(*) FROM jobs JOIN images ON images.job_id = jobs.id
    WHERE jobs.finished_at IS NULL AND images.state = 'failed' GROUP BY images.error_code
""")
UNDELETED = text("SELECT count(*) FROM tombstones")
WORKERS = text("""
    SELECT count(DISTINCT client_addr) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = :worker
""")


class FleetMetrics:
    """Gauges about workers, sweeper and what waits."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, help_: str, *labels: str) -> Gauge:
            return Gauge(f"facetag_{name}", help_, labels, registry=registry)

        self._programs = ProgramMetrics()
        registry.register(self._programs)
        self._doorbells = gauge("doorbells", "Messages that wait in Redis, by queue.", "queue")
        self._failed = gauge(
            "failed_images", "Images of unfinished jobs that failed, by code.", "code"
        )
        self._from_rows = {
            gauge(
                "waiting_seconds", "Seconds that a job with images has not been served."
            ): WAITING_S,
            gauge("expired_leases", "Images whose worker died or hangs."): EXPIRED,
            gauge("suspects", "Images at which a worker died, and that wait."): SUSPECTS,
            gauge("undeleted_objects", "Objects that are to be deleted."): UNDELETED,
            gauge("worker_hosts", "Addresses from which workers are connected."): WORKERS,
        }
        self._silence: dict[Gauge, Callable[[Session], float | None]] = {
            gauge("worker_silent_seconds", "Seconds since a worker spoke to Postgres."): (
                lambda session: seconds_since_heard(session, WORKER_APPLICATION)
            ),
            gauge("sweeper_silent_seconds", "Seconds since a sweeper ended a round."): (
                seconds_since_round
            ),
        }

    def observe_rows(self, session: Session) -> None:
        """Read what Postgres knows; raises DatabaseUnavailable."""
        for gauge, query in self._from_rows.items():
            gauge.set(session.scalar(query, {"worker": WORKER_APPLICATION}) or 0)
        self._failed.clear()
        for code, number in session.execute(FAILED):
            self._failed.labels(code).set(number)
        for gauge, ask in self._silence.items():
            silent_s = ask(session)
            # Nobody is there: it has been silent for ever.
            gauge.set(math.inf if silent_s is None else silent_s)
        self._programs.reports = fresh_reports(session)

    def forget_rows(self) -> None:
        """Report that nobody knows, instead of repeating old figures."""
        self._failed.clear()
        self._programs.reports = {}
        for gauge in (*self._from_rows, *self._silence):
            gauge.set(math.nan)

    def observe_queues(self, settings: Settings, *, answering: bool) -> None:
        """Read what waits in Redis; NaN once it does not answer."""
        for queue in (QUEUE_PREDICT, QUEUE_TAG, QUEUE_RETRAIN):
            try:
                waiting: float = count_doorbells(settings, [queue]) if answering else math.nan
            except QueueUnavailable:
                waiting, answering = math.nan, False
            self._doorbells.labels(queue).set(waiting)
