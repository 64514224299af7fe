"""Shards of labelled faces to a measured bundle that the service can load."""
