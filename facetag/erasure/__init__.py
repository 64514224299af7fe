"""Delete photos and results for good: what is to go is written down until it is gone."""
