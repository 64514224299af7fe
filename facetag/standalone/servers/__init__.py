"""The local servers: PostgreSQL, Valkey and SeaweedFS from wheels."""
