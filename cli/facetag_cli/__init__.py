"""Implement the `facetag` command."""
