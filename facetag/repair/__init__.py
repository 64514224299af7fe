"""Repair what disagrees after a backup was restored: rows, stored objects and counts."""
