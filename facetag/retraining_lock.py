"""One retraining at a time: a lock that belongs to a connection, and so dies with its process."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, text

from facetag.errors import RetrainingBusy

_KEY = "hashtextextended('retraining/' || :tenant_id, 0)"


@contextmanager
def hold_lock(engine: Engine, *, tenant_id: str) -> Iterator[None]:
    """Be the one process that retrains; raises RetrainingBusy where another one is."""
    tenant = {"tenant_id": tenant_id}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(text(f"SELECT pg_try_advisory_lock({_KEY})"), tenant):
            raise RetrainingBusy
        try:
            yield
        finally:
            # Invalid where the server went away meanwhile, and the lock with it.
            connection.invalidate()
