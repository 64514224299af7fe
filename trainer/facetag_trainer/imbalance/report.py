"""What a comparison leaves in its run folder: its figures as JSON, and its picture."""

import json
from pathlib import Path

from facetag_trainer.imbalance.plots import draw_recalls
from facetag_trainer.imbalance.table import Comparison
from facetag_trainer.reports.figures import save


def write_comparison(run: Path, found: Comparison) -> Path:
    """Write `imbalance.json`, `recall.svg` and `recall.png`; return the path of the first."""
    rows = {row.name: row.figures for row in found.rows}
    save({"recall": draw_recalls(found.plan.head, rows, found.images["training"])}, run)
    path = run / "imbalance.json"
    temporary = path.with_name(f"{path.name}.partial")
    temporary.write_text(json.dumps(found.to_json(), indent=2) + "\n")
    temporary.replace(path)
    return path
