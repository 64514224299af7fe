"""Say where shards of reviewed faces lie for a retraining, until a purge."""

from pathlib import Path

from facetag.cache_folder import cache_folder


def reviews_folder() -> Path:
    """Return the folder, which need not exist."""
    return cache_folder() / "reviews"
