"""The servers that facetag starts itself on one machine: PostgreSQL, Valkey and SeaweedFS."""
