"""Keeps a worker's claims for as long as its work moves on."""

import threading
import time
from collections.abc import Callable
from uuid import UUID

import structlog
from sqlalchemy.orm import Session, sessionmaker

from facetag.db.engine import transaction
from facetag.errors import DatabaseUnavailable
from facetag_worker.claims import Claim, extend_lease, release

STALL_S = 180.0
"""The longest that a worker may take for one step, a batch on a slow machine included. After it
the worker counts as hung: its leases run out, and somebody else gets its images."""

log = structlog.get_logger(__name__)


class Heartbeat:
    """Extends the leases of the claims that it holds, in a thread, while progress is reported."""

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
        """Stop the thread; leases that are still held run out by themselves."""
        self._quit.set()
        self._thread.join()

    def hold(self, claim: Claim) -> None:
        """Keep a claim from now on."""
        self._claims[claim.token] = claim
        self.progress()

    def drop(self, claim: Claim) -> None:
        """Keep a claim no longer: it was finished or given back."""
        self._claims.pop(claim.token, None)
        self.progress()

    def forget(self) -> None:
        """Keep nothing any longer: what was not finished is left to its lease."""
        self._claims.clear()

    def abandon(self) -> None:
        """Give back, unblamed, what is held as soon as the database answers: it was away for long.

        The sweeper spares leases for as long as that takes.
        """
        self._abandoned |= self._claims
        self._claims.clear()

    def surrender(self) -> int:
        """Give back every claim, unblamed; returns how many images were given back."""
        self.abandon()
        try:
            return self._give_back()
        except DatabaseUnavailable as error:
            log.warning("claims_left_to_their_leases", reason=str(error))
            return 0

    def progress(self) -> None:
        """Report that a step was done."""
        self._progress_at = self._clock()

    def beat(self) -> bool:
        """Extend the leases of what is held; False, and nothing, where the work has stalled.

        What was abandoned is given back first.
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
        """Give back what was abandoned; returns how many images. Raises DatabaseUnavailable."""
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
