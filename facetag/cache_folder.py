"""Find the folder for files that can be fetched or computed again."""

from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """Return facetag's cache folder: on Linux `$XDG_CACHE_HOME/facetag`, else ~/.cache/facetag."""
    return user_cache_path("facetag", appauthor=False)
