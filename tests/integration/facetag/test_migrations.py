"""The migrations and the tables' metadata must say the same, to the last constraint."""

import re
from importlib.resources import files

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from facetag.db.engine import migrate
from facetag.db.tables import Base

pytestmark = pytest.mark.integration

INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'"
CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
"""
COLUMNS = """
    SELECT table_name, column_name, data_type, is_nullable, column_default, identity_generation
    FROM information_schema.columns WHERE table_schema = 'public'
"""


@pytest.fixture
def connection(empty_database):
    engine = create_engine(re.sub("^postgresql:", "postgresql+psycopg:", empty_database))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_alembic_finds_no_difference_between_the_migrations_and_the_tables(
    empty_database, connection
):
    migrate(empty_database)
    assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_indexes_constraints_and_defaults_are_those_of_the_tables(empty_database, connection):
    """What Alembic does not compare: partial indexes, checks, identities."""
    Base.metadata.create_all(connection)
    wanted = describe(connection)
    Base.metadata.drop_all(connection)
    connection.commit()
    migrate(empty_database)
    assert describe(connection) == wanted


def test_downgrading_leaves_nothing_behind(empty_database, connection):
    migrate(empty_database)
    config = Config()
    config.set_main_option("script_location", str(files("facetag_migrations")))
    config.set_main_option("recursive_version_locations", "true")
    config.attributes["connection"] = connection
    with connection.begin():
        command.downgrade(config, "base")
    assert set(inspect(connection).get_table_names()) <= {"alembic_version"}


def describe(connection):
    return [
        sorted(
            tuple(row)
            for row in connection.execute(text(query))
            if "alembic_version" not in str(row)
        )
        for query in (INDEXES, CONSTRAINTS, COLUMNS)
    ]
