"""Count requests, and read from Postgres and the broker what the whole service does."""
