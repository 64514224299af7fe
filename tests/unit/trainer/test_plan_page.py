"""The page of plan files is what the classes give, and names every key."""

from dataclasses import fields
from pathlib import Path

from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.plan_file import NetworkTable, PlanDocument, read_plan
from facetag_trainer.plan_page import render_plan_page

PAGE = Path(__file__).parents[3] / "trainer" / "facetag_trainer" / "plan-files.md"


def test_the_page_is_the_one_that_the_plans_give():
    assert PAGE.read_text() == render_plan_page(), (
        "Run `python -m facetag_trainer.plan_page trainer/facetag_trainer/plan-files.md`."
    )


def test_every_key_has_an_entry_with_default_and_limits():
    page = render_plan_page()
    names = [*PlanDocument.model_fields, *NetworkTable.model_fields]
    names += [one.name for plan in (FitPlan(), FitPlan().jitter) for one in fields(plan)]
    names = [name for name in names if name not in ("network", "fit", "jitter")]
    assert all(f"`{name}`" in page or f"`{name} = " in page for name in names)
    assert "- `averaging = 0.998` (≥0, <1): " in page
    assert '- `schedule = "cosine"` (or `"plateau"`): ' in page
    assert '- `balanced = []` (any of `"gender"`, `"race"`): ' in page
    assert all(len(line) <= 100 for line in page.splitlines())


def test_the_example_of_the_page_is_a_plan(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text(render_plan_page().split("```toml\n")[1].split("```")[0])
    assert read_plan(path).fit["schedule"] == "plateau"
