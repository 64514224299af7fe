"""Report to Postgres what a worker does, for the metrics of the API."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import structlog
from sqlalchemy.orm import Session, sessionmaker

from facetag.db.engine import transaction
from facetag.db.program_reports import REPORT_S, ProgramReport, record_report
from facetag.disk_space import free_space
from facetag.errors import DatabaseUnavailable
from facetag.vision.inference.glibc_heap import resident_bytes

log = structlog.get_logger(__name__)


class WorkReport:
    """Add up photos, batches and seconds by stage, and report them from a thread of its own."""

    def __init__(self, name: str, data_dir: Path) -> None:
        self._name = name
        self._data_dir = data_dir
        self._lock = threading.Lock()
        self._photos = self._batches = 0
        self._stage_s: defaultdict[str, float] = defaultdict(float)
        self._ended = threading.Event()

    def add_batch(self, stages: Iterable[Mapping[str, float]]) -> None:
        """Count a batch of photos, of which each took milliseconds by stage."""
        with self._lock:
            self._batches += 1
            for stage_ms in stages:
                self._photos += 1
                for stage, ms in stage_ms.items():
                    self._stage_s[stage] += ms / 1000

    def add_stage(self, stage: str, seconds: float) -> None:
        """Count seconds of a stage that a whole chunk takes at once."""
        with self._lock:
            self._stage_s[stage] += seconds

    def make(self, bundle: str | None) -> ProgramReport:
        """Return the report of now."""
        with self._lock:
            return ProgramReport(
                memory_bytes=resident_bytes(),
                free_disk_bytes=free_space(self._data_dir),
                bundle=bundle,
                photos=self._photos,
                batches=self._batches,
                stage_s={stage: round(s, 3) for stage, s in self._stage_s.items()},
            )

    def follow(self, sessions: sessionmaker[Session], bundle: Callable[[], str]) -> None:
        """Start the thread, which reports at once and then every REPORT_S until `close`."""
        threading.Thread(
            target=self._run, args=(sessions, bundle), name="report", daemon=True
        ).start()

    def close(self) -> None:
        """Report nothing more."""
        self._ended.set()

    def _run(self, sessions: sessionmaker[Session], bundle: Callable[[], str]) -> None:
        while True:
            try:
                with transaction(sessions) as session:
                    record_report(session, self._name, self.make(bundle()))
            except DatabaseUnavailable as error:
                log.warning("report_put_off", reason=str(error))
            except Exception:
                log.exception("report_failed")
            if self._ended.wait(REPORT_S):
                return
