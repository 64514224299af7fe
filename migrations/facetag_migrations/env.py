"""Migrate over the caller's connection (see `facetag.db.engine.migrate`); Alembic runs this."""

from alembic import context

from facetag.db.tables import Base


def run() -> None:
    """Run the migrations in the caller's transaction."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()


run()
