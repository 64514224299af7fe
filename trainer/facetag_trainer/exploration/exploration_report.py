"""Write the report of an exploration: a page that opens offline and, in a folder, its data."""

import json
from collections.abc import Mapping
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from facetag.atomic_write import atomic_write
from facetag_trainer.data.shards import BadSample, Drop
from facetag_trainer.data.splits import LOOK_ALIKE_BITS
from facetag_trainer.exploration.exploration_plots import PICTURES, draw_exploration
from facetag_trainer.exploration.exploration_tables import (
    TITLES,
    age_rows,
    cross_tables,
    group_rows,
    to_json,
)
from facetag_trainer.exploration.shard_exploration import BY, Exploration
from facetag_trainer.reports.figures import embed, save
from facetag_trainer.reports.pages import render_template

PAGE = "exploration.html"
EXAMPLES = 20
"""The page lists this many names per kind of dropped image; the JSON file lists all."""


def write_exploration(target: Path, exploration: Exploration, facts: Mapping[str, Any]) -> Path:
    """Write the page and return its path.

    A `target` whose name ends in .html or .htm is the page. Any other target is a folder, which
    gets exploration.html, exploration.json and plots/. `facts` are `command`, `date` and `shards`
    (each with name and sha256).
    """
    pictures = draw_exploration(exploration)
    page = target if target.suffix.lower() in (".html", ".htm") else target / PAGE
    page.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(page, _render(exploration, facts, pictures))
    if page != target:
        save(pictures, target / "plots")
        data = json.dumps({**facts, **to_json(exploration)}, indent=2)
        atomic_write(page.with_suffix(".json"), data + "\n")
    return page


def _render(
    exploration: Exploration, facts: Mapping[str, Any], pictures: Mapping[str, Figure]
) -> str:
    return render_template(
        "exploration.html.jinja",
        facts=facts,
        found=exploration,
        kinds=_by_kind(exploration.left_out),
        examples=EXAMPLES,
        ages=age_rows(exploration),
        groups=[(TITLES[(head,)], group_rows(exploration, head)) for head in BY],
        tables=cross_tables(exploration),
        bits=LOOK_ALIKE_BITS,
        pictures=[(PICTURES[name], embed(picture)) for name, picture in pictures.items()],
    )


def _by_kind(left_out: list[BadSample]) -> list[tuple[Drop, list[BadSample]]]:
    order = list(Drop)
    ordered = sorted(left_out, key=lambda bad: order.index(bad.drop))
    return [(kind, list(bad)) for kind, bad in groupby(ordered, key=attrgetter("drop"))]
