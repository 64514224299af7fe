"""PostgreSQL: tables, engines, transactions and migrations."""
