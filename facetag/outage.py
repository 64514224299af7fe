"""Carries finished work over an outage of the database, so that it need not be done again."""

import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from sqlalchemy.orm import Session, sessionmaker

from facetag.database import transaction
from facetag.errors import DatabaseUnavailable

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0

Answer = TypeVar("Answer")

log = structlog.get_logger(__name__)


def persist(
    sessions: sessionmaker[Session],
    work: Callable[[Session], Answer],
    *,
    give_up: Callable[[], bool],
    on_wait: Callable[[], None] = lambda: None,
) -> Answer:
    """Do `work` in a transaction, again and again while the database is unavailable.

    `work` may have been committed by an attempt whose answer was lost: it must be such that a
    second time does nothing. Raises DatabaseUnavailable once `give_up` says so.
    """
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            with transaction(sessions) as session:
                return work(session)
        except DatabaseUnavailable as error:
            if give_up():
                raise
            log.warning("database_unavailable", reason=str(error), pause_s=pause_s)
        on_wait()
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
