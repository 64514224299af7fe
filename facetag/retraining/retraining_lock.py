"""Allow one retraining at a time, by a lock that ends with its connection and process."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from facetag.db.engine import translate_errors
from facetag.errors import RetrainingBusy

_KEY = "hashtextextended('retraining/' || :tenant_id, 0)"


@contextmanager
def hold_lock(engine: Engine, *, tenant_id: str) -> Iterator[None]:
    """Hold the lock of the one process that may retrain.

    Raises RetrainingBusy if another process holds it, and DatabaseUnavailable.
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
        # If the server went away meanwhile, connection and lock are gone.
        connection.invalidate()
        connection.close()


def try_lock(session: Session, *, tenant_id: str) -> bool:
    """Hold the lock until the transaction ends; False if another process holds it."""
    values = {"tenant_id": tenant_id}
    return bool(session.scalar(text(f"SELECT pg_try_advisory_xact_lock({_KEY})"), values))
