"""Migrate the tables of PostgreSQL; Alembic runs the revisions."""
