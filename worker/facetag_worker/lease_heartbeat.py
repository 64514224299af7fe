"""Extend the leases of a worker's claims while its work makes progress, and give claims back."""

import threading
import time
from collections.abc import Callable
from uuid import UUID

import structlog
from sqlalchemy.orm import Session, sessionmaker

from facetag.db.engine import transaction
from facetag.errors import DatabaseUnavailable
from facetag.queue.consumer import Stopping
from facetag_worker.claims import Claim, extend_lease, release

STALL_S = 180.0
"""The longest time that one step of a worker may take, such as a batch on a slow machine. After it
the worker counts as hung: its leases run out, and another worker gets its images."""
RELEASE_AFTER_S = 50.0
"""How long after the request to stop unfinished claims are given back. The process ends later."""
POLL_S = 0.5

log = structlog.get_logger(__name__)


class Heartbeat:
    """Extend the leases of the claims it holds, in a thread, while progress is reported."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        lease_s: float,
        *,
        stall_s: float = STALL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sessions = sessions
        self._lease_s = lease_s
        self._stall_s = stall_s
        self._clock = clock
        self._claims: dict[UUID, Claim] = {}
        self._abandoned: dict[UUID, Claim] = {}
        self._progress_at = clock()
        self._quit = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; leases that are still held run out."""
        self._quit.set()
        self._thread.join()

    def hold(self, claim: Claim) -> None:
        """Extend the lease of a claim from now on."""
        self._claims[claim.token] = claim
        self.progress()

    def drop(self, claim: Claim) -> None:
        """Stop extending a claim that was finished or given back."""
        self._claims.pop(claim.token, None)
        self.progress()

    def forget(self) -> None:
        """Stop extending every claim: the leases of unfinished ones run out."""
        self._claims.clear()

    def abandon(self) -> None:
        """Give every claim back as soon as the database answers again, without suspicion.

        Until then the sweeper spares leases.
        """
        self._abandoned |= self._claims
        self._claims.clear()

    def surrender(self) -> int:
        """Give every claim back at once, without suspicion; return the number of images."""
        self.abandon()
        try:
            return self._give_back()
        except DatabaseUnavailable as error:
            log.warning("claims_left_to_their_leases", reason=str(error))
            return 0

    def progress(self) -> None:
        """Report that a step is done."""
        self._progress_at = self._clock()

    def beat(self) -> bool:
        """Extend the leases of all claims; return False without extending any if work has stalled.

        Abandoned claims are given back first.
        """
        self._give_back()
        silent_s = self._clock() - self._progress_at
        claims = list(self._claims.values())
        if claims and silent_s > self._stall_s:
            log.error("work_stalled", silent_s=round(silent_s), claims=len(claims))
            return False
        for claim in claims:
            with transaction(self._sessions) as session:
                extend_lease(session, claim, self._lease_s)
        return True

    def _give_back(self) -> int:
        """Give abandoned claims back; return the number of images. Raises DatabaseUnavailable."""
        given = 0
        for claim in list(self._abandoned.values()):
            with transaction(self._sessions) as session:
                given += release(session, claim, claim.image_ids)
            self._abandoned.pop(claim.token, None)
        if given:
            log.warning("claims_given_back", images=given)
        return given

    def _run(self) -> None:
        while not self._quit.wait(self._lease_s / 3):
            try:
                self.beat()
            except DatabaseUnavailable as error:
                log.warning("heartbeat_missed", reason=str(error))
            except Exception:
                # Without this thread all leases run out while their photos are at work.
                log.exception("heartbeat_failed")


def release_when_late(
    stopping: Stopping,
    heartbeat: Heartbeat,
    *,
    after_s: float = RELEASE_AFTER_S,
    sleep: Callable[[float], None] = time.sleep,
) -> threading.Thread:
    """Start a thread that gives all claims back `after_s` seconds after the request to stop.

    The worker may still finish a chunk after that. If another worker has claimed its images by
    then, these late results are refused, and no suspicion falls on images of a slow worker.
    """

    def wait() -> None:
        while not stopping.asked:
            sleep(POLL_S)
        sleep(after_s)
        heartbeat.surrender()

    thread = threading.Thread(target=wait, name="surrender", daemon=True)
    thread.start()
    return thread
