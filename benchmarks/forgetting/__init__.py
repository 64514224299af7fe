"""Measure what a network forgets when it is retrained, and what it gains."""
