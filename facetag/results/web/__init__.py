"""Hold the charts and the gallery of photos that the report and the service's page both show."""

import re
from importlib.resources import files

SCRIPTS = (
    "elements.js",
    "filters.js",
    "csv_table.js",
    "photo_card.js",
    "charts.js",
    "gallery.js",
)
"""The modules that both show, each after those that it imports."""
REPORT_SCRIPTS = (*SCRIPTS, "shares.js")
STYLES = "collection.css"

_IMPORT = re.compile(r'^import (\{[^}]+\}) from "\./(\w+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|function) (\w+))", re.MULTILINE)


def read_part(name: str) -> str:
    """Return the text of one of REPORT_SCRIPTS, or of STYLES."""
    return (files(__package__) / name).read_text("utf-8")


def inline_modules() -> str:
    """Return REPORT_SCRIPTS as one script for a page that is a single file and can import none.

    Each module becomes a constant of its name, such as `gallery`, which holds what it exports.
    """
    return "\n".join(map(_as_constant, REPORT_SCRIPTS))


def _as_constant(name: str) -> str:
    text = _IMPORT.sub(r"const \1 = \2;", read_part(name))
    exported = ", ".join(_EXPORT.findall(text))
    body = _EXPORT.sub("", text)
    module = name.removesuffix(".js")
    return f'const {module} = (() => {{\n"use strict";\n{body}return {{ {exported} }};\n}})();'
