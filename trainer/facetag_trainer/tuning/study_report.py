"""Write the report of `facetag tune`: a self-contained page, its data, plots and the best plan."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.fit.plan_file import write_plan
from facetag_trainer.reports.figures import embed, save
from facetag_trainer.reports.pages import render_template
from facetag_trainer.tuning.search_space import Range
from facetag_trainer.tuning.study_plots import draw_results
from facetag_trainer.tuning.study_results import (
    FEWEST_FOR_IMPORTANCE,
    Results,
    best_plan,
    format_value,
)

PLAN_FILE = "plan.toml"
OPTIONS = ("learning_rate", "batch_size")
"""Parameters that are options of `facetag train` themselves."""
PICTURES = {
    "history": "Score of each trial; a pruned trial has the score of its last epoch",
    "importance": "How much of the score's variance each parameter explains",
}


def write_tuning_report(folder: Path, results: Results) -> Path:
    """Write tuning.html, tuning.json, plots/ and plan.toml into a folder; return the page's path.

    What is not known yet is left out: without a complete trial there is no plan.toml.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = draw_results(results)
    save(pictures, folder / "plots")
    (folder / "tuning.json").write_text(json.dumps(_data(results), indent=2) + "\n")
    if results.best is not None:
        (folder / PLAN_FILE).write_text(compose_plan(results))
    page = folder / "tuning.html"
    page.write_text(_render(results, pictures))
    return page


def compose_plan(results: Results) -> str:
    """Return the plan file of the best values, for `facetag train --plan`."""
    return write_plan(best_plan(results))


def compose_command(results: Results, plan: str = PLAN_FILE) -> str:
    """Return the `facetag train` command with the best values in the file `plan`.

    It is empty until a trial is complete.
    """
    if results.best is None:
        return ""
    weights = results.plan["starting_weights"]
    start = [] if weights is None else ["--backbone-weights", weights["file"]]
    shards = [one["name"] for one in results.plan["shards"]]
    return " ".join(["facetag train", *shards, *start, "--plan", plan])


def parameter_rows(results: Results) -> list[dict[str, str]]:
    """Return a row per parameter: its range, values, importance, and how `train` is given it."""
    best = {} if results.best is None else results.best.values
    shares = results.importances or {}
    return [
        {
            "name": one.name,
            "range": describe_range(one),
            "default": format_value(results.defaults[one.name]),
            "best": format_value(best[one.name]) if one.name in best else "",
            "importance": f"{shares[one.name]:.2f}" if one.name in shares else "",
            "option": train_option(one.name),
        }
        for one in results.space
    ]


def train_option(name: str) -> str:
    """Return the option of `facetag train` for a parameter, or its key in the file of --plan."""
    if name in OPTIONS:
        return f"--{name.replace('_', '-')}"
    table = "network" if name in {field.name for field in fields(NetworkSpec)} else "fit"
    return f"{table}.{name} in --plan"


def describe_range(one: Range) -> str:
    """Return a range in words."""
    if one.kind == "choice":
        return ", ".join(map(str, one.choices))
    words = f"{format_value(one.low)} to {format_value(one.high)}"
    return f"{words}, logarithmic" if one.kind == "logarithmic" else words


def describe_budget(plan: Mapping[str, Any]) -> str:
    """Return the budget of each trial in words."""
    epochs = "1 epoch" if plan["epochs"] == 1 else f"{plan['epochs']} epochs"
    start = plan["starting_weights"]
    weights = "random weights" if start is None else f"the weights {start['file']}"
    return (
        f"images of {plan['size']} pixels, {plan['part']:.0%} of the training images, {epochs}, "
        f"from {weights}, {plan['precision']}"
    )


def _data(results: Results) -> dict[str, Any]:
    best = results.best
    return {
        "study": results.name,
        "date": datetime.now(UTC).date().isoformat(),
        "plan": results.plan,
        "compute_s": round(results.compute_s),
        "best": None if best is None else asdict(best),
        "command": compose_command(results),
        "importances": results.importances,
        "trials": [asdict(one) for one in results.trials],
    }


def _render(results: Results, pictures: Mapping[str, Figure]) -> str:
    return render_template(
        "tuning.html.jinja",
        filters={"value": format_value},
        results=results,
        date=datetime.now(UTC).date().isoformat(),
        budget=describe_budget(results.plan),
        rows=parameter_rows(results),
        command=compose_command(results),
        plan=compose_plan(results),
        fewest=FEWEST_FOR_IMPORTANCE,
        pictures=[(name, PICTURES[name], embed(picture)) for name, picture in pictures.items()],
    )
