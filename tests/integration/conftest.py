"""Real servers for the integration tests, started once by facetag itself in a temporary folder."""

import itertools
import os
import time
from collections.abc import Iterator

import psycopg
import pytest
from pydantic import SecretStr
from redis import Redis
from sqlalchemy import make_url
from sqlalchemy.orm import Session, sessionmaker

from facetag.db.engine import make_engine, make_sessions, migrate
from facetag.settings import Settings
from facetag.standalone.stack import LocalStack
from tests.unsynced_postgres import stop_syncing

TEMPLATE = "migrated"
DROP_TRIES = 20
REAL_DATA = "FACETAG_TEST_DATA"
"""No setting: where tests find UTKFace."""

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def local_stack(tmp_path_factory) -> Iterator[LocalStack]:
    """PostgreSQL, Valkey and SeaweedFS, with nothing from the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("FACETAG_")]:
            if name != REAL_DATA:
                patch.delenv(name)
        data_dir = tmp_path_factory.mktemp("servers")
        with LocalStack(Settings(data_dir=data_dir)) as stack:
            stop_syncing(stack)
            yield stack


@pytest.fixture(scope="session")
def servers(local_stack) -> Settings:
    """Settings that lead to the servers, with the rights of facetag's processes."""
    return local_stack.connected_settings()


@pytest.fixture(scope="session")
def template(servers) -> str:
    """URL of a database in which all migrations ran, and nothing else; copied for each test."""
    with _administration(servers) as connection:
        connection.execute(f'CREATE DATABASE "{TEMPLATE}"')
    url = _url(servers, TEMPLATE)
    migrate(url)
    return url


def drop_database(connection: psycopg.Connection, name: str) -> None:
    """Drop a database; autovacuum, which only a superuser can end, may still be at work in it."""
    for turn in range(DROP_TRIES):
        try:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
            return
        except psycopg.errors.InsufficientPrivilege:
            if turn == DROP_TRIES - 1:
                raise
            time.sleep(0.5)


@pytest.fixture
def database(servers, template) -> Iterator[str]:
    """URL of a database of this test's own, with empty tables; no message waits in the queue."""
    name = f"test_{next(_numbers)}"
    with Redis.from_url(servers.require("redis_url")) as redis:
        redis.flushall()
    with _administration(servers) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}"')
    yield _url(servers, name)
    with _administration(servers) as connection:
        drop_database(connection, name)


@pytest.fixture
def settings(servers, database) -> Settings:
    """What leads to this test's own database and to the servers; a folder may add to it."""
    return servers.model_copy(update={"database_url": SecretStr(database)})


@pytest.fixture
def sessions(settings) -> Iterator[sessionmaker[Session]]:
    engine = make_engine(settings)
    yield make_sessions(engine)
    engine.dispose()


def _url(servers: Settings, database: str) -> str:
    url = make_url(servers.require("database_url")).set(database=database)
    return url.render_as_string(hide_password=False)


def _administration(servers: Settings) -> psycopg.Connection:
    url = make_url(_url(servers, "postgres")).set(drivername="postgresql")
    return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)
