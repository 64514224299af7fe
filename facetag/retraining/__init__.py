"""Keep retrainings in Postgres: requests, leases, log lines and the ledger of shards."""
