"""Give workers time to extend leases that ran out while no heartbeat could be sent."""

import math
import time
from collections.abc import Callable

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

JUMP_S = 5.0
"""The database's clock has jumped if it went ahead of a clock that stands still in sleep by this
much between two looks."""

log = structlog.get_logger(__name__)


class LeaseGrace:
    """A time of one lease in which those that ran out are left alone.

    `clock` stands still while the machine sleeps, as heartbeats do.
    """

    def __init__(self, lease_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._lease_s = lease_s
        self._clock = clock
        self._until = -math.inf
        self._ahead_s: float | None = None

    def begin(self, *, delay_s: float = 0.0) -> None:
        """Leave leases alone until one has passed after `delay_s`."""
        self._until = max(self._until, self._clock() + delay_s + self._lease_s)

    def holds(self, session: Session) -> bool:
        """Return whether leases that ran out by the time of this transaction are left alone.

        After a sleep of the machine, or a jump of the database's clock, they ran out at once, and
        most heartbeats come later than the sweeper's next round.
        """
        now = session.execute(select(func.now())).scalar_one()
        ahead_s = now.timestamp() - self._clock()
        if self._ahead_s is not None and ahead_s - self._ahead_s > JUMP_S:
            log.warning("clock_jumped", by_s=round(ahead_s - self._ahead_s))
            self.begin()
        self._ahead_s = ahead_s
        return self._clock() < self._until
