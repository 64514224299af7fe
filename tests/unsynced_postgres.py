"""Let a test's PostgreSQL not wait for the disk: tests end processes, and never the machine."""

import psycopg

from facetag.standalone.servers.ports import LOOPBACK
from facetag.standalone.servers.postgres import SUPERUSER, Postgres
from facetag.standalone.stack import LocalStack


def stop_syncing(stack: LocalStack) -> None:
    """Turn off fsync in a running stack's PostgreSQL, also for when it is started again."""
    (server,) = (one for one in stack.servers if isinstance(one, Postgres))
    with psycopg.connect(
        host=LOOPBACK,
        port=server.ports[0],
        user=SUPERUSER,
        password=server.credentials.database_password,
        dbname="postgres",
        autocommit=True,
    ) as link:
        link.execute("ALTER SYSTEM SET fsync = off")
        link.execute("SELECT pg_reload_conf()")
