"""Retraining of the champion on new shards, and the gate before promotion."""
