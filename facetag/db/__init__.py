"""Define the tables of PostgreSQL, connect to it and migrate it."""
