"""Run PostgreSQL, Valkey and SeaweedFS from their wheels."""
