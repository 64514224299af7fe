"""Retrainings as the service keeps them: requests, claims, log and ledger."""
