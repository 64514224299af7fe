"""Tell at once which job has changed, by PostgreSQL's notifications."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import psycopg

from facetag.db.engine import asynchronous_connection
from facetag.settings import Settings

JOB_CHANGED = "facetag_job_changed"
"""The channel on which a trigger of `jobs` names each job whose counts or state change."""


async def listen(settings: Settings) -> AsyncIterator[str | None]:
    """Yield the id of each job that changes; first None, once nothing can be missed any more.

    Raises psycopg.Error if the connection cannot be made or is lost.
    """
    connection: psycopg.AsyncConnection = await asynchronous_connection(settings)
    async with connection:
        await connection.execute(f"LISTEN {JOB_CHANGED}")
        yield None
        async with aclosing(connection.notifies()) as notices:
            async for notice in notices:
                yield notice.payload
