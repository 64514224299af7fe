"""Retraining on new shards, and the gate before promotion."""
