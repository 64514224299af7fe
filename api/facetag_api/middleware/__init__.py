"""Wrap every request: its log line, its origin, its caller."""
