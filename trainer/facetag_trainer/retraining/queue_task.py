"""Handle a message of the retraining queue: claim what waits, do it, and record the end.

Nothing here loads TensorFlow: the heartbeat starts as soon as the claim is made, and a message
without a waiting retraining costs little.
"""

import os
import socket
from collections.abc import Callable
from contextlib import closing

import structlog
from sqlalchemy.orm import Session

from facetag.bundles.bundle_store import Shelf
from facetag.db.engine import persist, transaction
from facetag.db.tables import RetrainingState
from facetag.errors import (
    ChampionChanged,
    FacetagError,
    LeaseLost,
    RetrainingBusy,
    ServiceUnavailable,
)
from facetag.retraining.log_lines import append_lines
from facetag.retraining.retraining_lease import (
    Ending,
    RetrainingClaim,
    claim_retraining,
    end_retraining,
    release_retraining,
)
from facetag.settings import Settings
from facetag_trainer.retraining.heartbeat import Keeper

BUSY_WAIT_S = 10.0
"""The wait before the next try if another retraining runs."""
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0

Retrain = Callable[[Shelf, RetrainingClaim, Keeper], None]

log = structlog.get_logger(__name__)


class Answering:
    """Do the waiting retraining, if there is one, by the function `retrain`."""

    def __init__(self, settings: Settings, stopping: Callable[[], bool], retrain: Retrain) -> None:
        self._settings = settings
        self._stopping = stopping
        self._do = retrain
        self._shelf = Shelf(settings)

    def answer(self) -> None:
        """Handle one message; raises DatabaseUnavailable if nothing can be claimed.

        A retraining that cannot be done is recorded as failed, with the reason. If a service is
        down, the retraining waits for it and resumes from its folders.
        """
        lease_s = self._settings.lease_s
        with closing(self._shelf) as shelf:
            worker = f"{socket.gethostname()}:{os.getpid()}"
            with transaction(shelf.sessions) as session:
                claim = claim_retraining(
                    session, tenant_id=shelf.tenant_id, worker=worker, lease_s=lease_s
                )
            if claim is not None:
                with Keeper(
                    shelf.sessions, claim, lease_s=lease_s, stopping=self._stopping
                ) as keeper:
                    self._work(claim, keeper)

    def _work(self, claim: RetrainingClaim, keeper: Keeper) -> None:
        try:
            self._retrain_patiently(claim, keeper)
        except LeaseLost as error:
            log.info("retraining_left", id=str(claim.id), reason=str(error))
        except (RetrainingBusy, ChampionChanged) as error:
            wait_s = BUSY_WAIT_S if isinstance(error, RetrainingBusy) else 0.0
            self._leave(claim, keeper, str(error), wait_s)
        except FacetagError as error:
            self._fail(claim, keeper, str(error))
        except Exception as error:
            log.exception("retraining_failed", id=str(claim.id))
            self._fail(claim, keeper, f"{type(error).__name__}: {error}")

    def _retrain_patiently(self, claim: RetrainingClaim, keeper: Keeper) -> None:
        wait_s = FIRST_WAIT_S
        while True:
            try:
                return self._do(self._shelf, claim, keeper)
            except ServiceUnavailable as error:
                keeper.say(f"waiting: {error}")
            keeper.wait(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _leave(self, claim: RetrainingClaim, keeper: Keeper, reason: str, wait_s: float) -> None:
        # Once: it may be written again, where the connection was lost.
        lines = [*keeper.take_lines(), f"back in the queue: {reason}"]

        def leave(session: Session) -> None:
            if release_retraining(session, claim, wait_s=wait_s):
                append_lines(session, claim.id, lines, tenant_id=claim.tenant_id)

        persist(self._shelf.sessions, leave, give_up=self._stopping)

    def _fail(self, claim: RetrainingClaim, keeper: Keeper, reason: str) -> None:
        lines = keeper.take_lines()

        def fail(session: Session) -> None:
            append_lines(session, claim.id, lines, tenant_id=claim.tenant_id)
            end_retraining(session, claim, Ending(RetrainingState.FAILED, error=reason))

        try:
            persist(self._shelf.sessions, fail, give_up=self._stopping)
        except LeaseLost as error:
            log.info("retraining_left", id=str(claim.id), reason=str(error))
