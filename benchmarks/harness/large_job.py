"""Make a job of a million images in real rows by SQL, and finish its images as workers would.

Updates claim and finish rows in large steps, so that tables and indexes hold as many dead rows as
after real work, apart from those that autovacuum has removed.
"""

import hashlib
import statistics
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from facetag import jobs
from facetag.db.engine import allow_long_statements, transaction
from facetag.db.tables import ImageState
from facetag.jobs.counts import count_images
from facetag.storage.object_keys import image_key
from facetag_worker import claims
from facetag_worker.sweeper import FIND_DONE, FIND_UNHEARD, return_expired

STEP = 5_000
REPEATS = 7
CHUNK = 16

_ADD_JOB = text("""
    INSERT INTO jobs (id, tenant_id, state, name, total, queued)
    VALUES (:job, 'local', 'queued', 'a large one', :images, :images)
""")
_ADD_IMAGES = text("""
    INSERT INTO images (tenant_id, job_id, position, bucket, key, name, content)
    SELECT 'local', :job, i, 'facetag',
        'tenants/local/images/' || left(encode(content, 'hex'), 2) || '/' || encode(content, 'hex')
            || '.jpg', 'photos/' || i || '.jpg', content
    FROM (SELECT i, sha256(CAST(CAST(i AS text) AS bytea)) AS content
          FROM generate_series(0, :images - 1) AS i) AS listed
""")
_CLAIM = text("""
    UPDATE images SET state = 'running', claim_token = gen_random_uuid(), claimed_by = 'benchmark',
        lease_until = now() + interval '1 hour', started_at = now()
    WHERE job_id = :job AND position >= :first AND position < :end
""")
# Of ten images, seven are tagged with one face each, two have no face, and one fails.
_FINISH = text("""
    WITH done AS (
        UPDATE images SET
            state = CASE WHEN position % 10 = 0 THEN 'failed' WHEN position % 10 < 3 THEN 'no_face'
                    ELSE 'tagged' END,
            error_code = CASE position % 10 WHEN 0 THEN 'truncated' END,
            claim_token = NULL, lease_until = NULL, finished_at = now(), width = 1600,
            height = 1200, model_version = 'benchmark', look = content, labelling_key =
            CASE WHEN position % 10 > 0 THEN CAST(:key AS bytea) END, stage_ms =
            '{"fetch": 3.1, "decode": 12.2, "detect": 80.0, "crop": 1.0, "predict": 20.3}'
        WHERE job_id = :job AND position >= :first AND position < :end
        RETURNING id, state
    )
    INSERT INTO faces (tenant_id, image_id, position, x, y, width, height, confidence, attributes)
    SELECT 'local', id, 0, 412, 230, 181, 222, 0.998, '{"age": 31.4, "age_range": [26, 37],
        "gender": {"label": "female", "probability": 0.97},
        "race": {"label": "asian", "probabilities": {"white": 0.02, "black": 0.01, "asian": 0.95,
                                                     "indian": 0.01, "other": 0.01}}}'
    FROM done WHERE state = 'tagged'
""")
_COUNT = text("""
    UPDATE jobs SET state = 'running', queued = :queued, tagged = :tagged, no_face = :no_face,
        failed = :failed
    WHERE id = :job
""")


def key_of(number: int) -> str:
    """Return the key of an image of a large job by its position."""
    return image_key("local", hashlib.sha256(str(number).encode()).hexdigest(), ".jpg")


class _Undo(Exception):
    """End a measured transaction without keeping its effect."""


class LargeJob:
    """Make a job of so many images; `work_until` finishes the next ones."""

    def __init__(
        self, sessions: sessionmaker[Session], images: int, labelling_key: bytes = b"benchmark"
    ) -> None:
        self.id = uuid.uuid4()
        self.images = images
        self._labelling_key = labelling_key
        self._sessions = sessions
        self._done = 0
        with transaction(sessions) as session:
            allow_long_statements(session)
            session.execute(_ADD_JOB, {"job": self.id, "images": images})
            session.execute(_ADD_IMAGES, {"job": self.id, "images": images})

    def work_until(self, done: int) -> None:
        """Claim and finish images in the order of the job until `done` of them are finished."""
        while self._done < done:
            end = min(done, self._done + STEP)
            rows = {"job": self.id, "first": self._done, "end": end}
            with transaction(self._sessions) as session:
                session.execute(_CLAIM, rows)
            with transaction(self._sessions) as session:
                session.execute(_FINISH, rows | {"key": self._labelling_key})
            self._done = end
        with transaction(self._sessions) as session:
            counts = count_images(session, self.id)
            values = {state.value: number for state, number in counts.items()}
            session.execute(_COUNT, {"job": self.id, **values})

    def time_statements(self) -> dict[str, float]:
        """Return the median milliseconds of the statements of workers and of the sweeper."""
        turns: dict[str, Callable[[Session], Any]] = {
            "choose a job": claims.choose_job,
            "claim a chunk": self._claim,
            "close if done": lambda session: jobs.close_job_if_done(session, self.id),
            "sweeper: expired leases": return_expired,
            "sweeper: jobs to close": lambda session: session.execute(FIND_DONE).all(),
            "sweeper: unheard jobs": lambda session: session.execute(
                FIND_UNHEARD, {"quiet_s": -3600, "room": 16, "none_waits": False}
            ).all(),
        }
        return {name: round(self._time(turn), 1) for name, turn in turns.items()}

    def time_pages(self, ask: Callable[[str], Any]) -> dict[str, float]:
        """Return the median milliseconds that `ask` takes for pages of 100 images."""
        deep = jobs.encode_cursor(self._done - 200)
        images = f"/v1/jobs/{self.id}/images?limit=100"
        paths = {
            "jobs": "/v1/jobs",
            "images, first page": images,
            "images, deep": f"{images}&cursor={deep}",
            **{
                f"images, {state.value}": f"{images}&state={state.value}"
                for state in (ImageState.QUEUED, ImageState.RUNNING, ImageState.FAILED)
            },
            "images, failed, deep": f"{images}&state=failed&cursor={deep}",
        }
        return {name: round(median_ms(partial(ask, path)), 1) for name, path in paths.items()}

    def _claim(self, session: Session) -> claims.Claim | None:
        return claims.claim_images(
            session, job_id=self.id, limit=CHUNK, lease_s=60.0, worker="benchmark"
        )

    def _time(self, turn: Callable[[Session], Any]) -> float:
        def measured() -> None:
            try:
                with transaction(self._sessions) as session:
                    turn(session)
                    raise _Undo
            except _Undo:
                pass

        return median_ms(measured)


def median_ms(act: Callable[[], Any]) -> float:
    """Return the median milliseconds that a call takes; the first call does not count."""
    act()
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        act()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)
