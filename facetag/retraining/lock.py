"""One retraining at a time: a lock that belongs to a connection, and so dies with its process."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from facetag.db.engine import translate_errors
from facetag.errors import RetrainingBusy

_KEY = "hashtextextended('retraining/' || :tenant_id, 0)"


@contextmanager
def hold_lock(engine: Engine, *, tenant_id: str) -> Iterator[None]:
    """Be the one process that retrains.

    Raises RetrainingBusy where another one is, and DatabaseUnavailable.
    """
    tenant = {"tenant_id": tenant_id}
    with translate_errors():
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    try:
        with translate_errors():
            free = connection.scalar(text(f"SELECT pg_try_advisory_lock({_KEY})"), tenant)
        if not free:
            raise RetrainingBusy
        yield
    finally:
        # Invalid where the server went away meanwhile, and the lock with it.
        connection.invalidate()
        connection.close()


def try_lock(session: Session, *, tenant_id: str) -> bool:
    """Keep others from retraining until the transaction ends; False where one retrains now."""
    values = {"tenant_id": tenant_id}
    return bool(session.scalar(text(f"SELECT pg_try_advisory_xact_lock({_KEY})"), values))
