"""Bundles: their folders and object storage, and the registry of which one labels."""
