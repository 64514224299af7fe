"""The migrations and the tables' metadata must say the same, to the last constraint."""

import re
import subprocess
import sys
import zipfile
from importlib.resources import files
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from facetag.db.engine import migrate
from facetag.db.tables import Base

ROOT = Path(__file__).resolve().parents[3]

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


def test_an_installed_wheel_brings_its_migrations(empty_database, connection, tmp_path):
    run("-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("facetag-*.whl")
    installed = tmp_path / "site-packages"
    zipfile.ZipFile(wheel).extractall(installed)
    program = (
        f"import sys; sys.path.insert(0, {str(installed)!r}); "
        "import facetag.db.engine as database; "
        f"print(database.__file__); database.migrate({empty_database!r})"
    )
    # From a folder where no other `migrations` or `facetag` is found first.
    assert run("-c", program, cwd=tmp_path).startswith(str(installed))
    assert "jobs" in inspect(connection).get_table_names()


def run(*arguments, **options):
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout
