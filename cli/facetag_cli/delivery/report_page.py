"""Render the composition report as one HTML file that loads nothing from elsewhere."""

import base64
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from facetag.client.api_client import Line
from facetag.results.collection_counts import Composition
from facetag.results.counts_json import counts_json
from facetag.results.csv_rows import ALL_HEADS, COLUMNS, without_other_heads
from facetag.results.name_escapes import escape_controls
from facetag.results.web import STYLES, inline_modules, read_part
from facetag_cli.composition.share_estimation import EstimatedShares
from facetag_cli.reporter import plural
from facetag_trainer.reports.pages import render_template

TEMPLATES = Path(__file__).parent / "templates"
NOT_ESTIMATED = EstimatedShares()
START = """
  const found = JSON.parse(document.getElementById("collection").textContent);
  const places = new Map(found.lines.map((line, place) => [line, place]));
  const picture = (line) => found.pictures[places.get(line)];
  charts.showCharts(document.getElementById("charts"), found.counts,
    { shares: found.estimates && shares.shareCard(found.estimates) });
  gallery.showGallery(document.getElementById("gallery"), { ...found, picture });
"""


@dataclass(frozen=True, slots=True)
class Listing:
    """The photos that a report lists one by one."""

    lines: Sequence[Line] = ()
    pictures: Mapping[int, str] = field(default_factory=dict)
    """Data URIs of thumbnails, by the place in `lines`."""


def render_page(
    composition: Composition,
    listing: Listing,
    *,
    title: str,
    estimated: EstimatedShares = NOT_ESTIMATED,
    skipped: int = 0,
    heads: Collection[str] = ALL_HEADS,
    made_at: datetime | None = None,
) -> str:
    """Return the page; text from users and file names never becomes markup or script.

    Only `heads`, the attributes that were asked for, are spoken of.
    """
    made_at = made_at or datetime.now().astimezone()
    script = f"(() => {{\n{inline_modules()}{START}}})();\n"
    data = {
        "counts": counts_json(composition),
        "estimates": estimated.shares,
        "lines": listing.lines,
        "pictures": listing.pictures,
        "columns": without_other_heads(COLUMNS, heads),
        "note": _note(composition, listing),
    }
    return render_template(
        "report.html.jinja",
        folder=TEMPLATES,
        filters={"percent": percent, "grouped": grouped, "plural": plural},
        title=escape_controls(title),
        made_at=f"{made_at:%d %B %Y, %H:%M}".lstrip("0"),
        composition=composition,
        heads=[name for name in ALL_HEADS if name in heads],
        reason=estimated.reason,
        skipped=skipped,
        policy=_policy(script),
        styles=Markup(read_part(STYLES)),  # noqa: S704 -- our own file
        script=Markup(script),  # noqa: S704 -- our own files
        data=Markup(inert_json(data)),  # noqa: S704 -- escaped by inert_json
    )


def inert_json(value: Any) -> str:
    """Return JSON that cannot end the script element that it stands in.

    Raises ValueError for a NaN, which no browser reads.
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def percent(share: float) -> str:
    """Return a share as a whole percentage, with `<1%` for small shares above 0."""
    if 0 < share < 0.005:
        return "<1%"
    return f"{share:.0%}"


def grouped(count: int) -> str:
    """Return a count with commas, such as `12,345`."""
    return f"{count:,}"


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            "style-src 'unsafe-inline'",
            f"script-src 'sha256-{digest}'",
        )
    )


def _note(composition: Composition, listing: Listing) -> str:
    listed, pictures = len(listing.lines), len(listing.pictures)
    parts = []
    if listed < composition.photos:
        parts.append(
            f"{grouped(listed)} of {plural(composition.photos, 'photo')}, drawn at random, are "
            "listed; the charts count all."
        )
    if pictures and pictures < listed:
        parts.append(
            f"{plural(pictures, 'photo')} of the rarest and most uncertain groups "
            f"{'has a picture' if pictures == 1 else 'have pictures'} in this file; of the others "
            "only the faces' places are drawn."
        )
    return " ".join(parts)
