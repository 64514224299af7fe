"""Holds the charts and the gallery of photos that the report and the service's page both show."""

from importlib.resources import files

SCRIPTS = ("elements.js", "charts.js", "gallery.js")
"""The scripts in the order in which a page loads them."""
STYLES = "collection.css"


def read_part(name: str) -> str:
    """Return the text of one of SCRIPTS, or of STYLES."""
    return (files(__package__) / name).read_text("utf-8")
