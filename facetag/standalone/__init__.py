"""Run the servers of a service on one machine: PostgreSQL, Valkey and SeaweedFS."""
