"""Render the HTML pages of reports from their templates; every value is escaped."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from facetag.results.name_escapes import written_name

TEMPLATES = Path(__file__).parent / "templates"


def render_template(
    template: str,
    *,
    folder: Path = TEMPLATES,
    filters: Mapping[str, Callable[..., str]] | None = None,
    **values: Any,
) -> str:
    """Return the page of a template in `folder`; `filters` are added to those of Jinja.

    Bytes of names that are not UTF-8 are escaped too.
    """
    environment = Environment(
        loader=FileSystemLoader(folder), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(filters or {})
    return written_name(environment.get_template(template).render(values))
