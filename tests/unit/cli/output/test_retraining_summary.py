import uuid
from datetime import UTC, datetime, timedelta

import pytest

from facetag.db.tables import Retraining
from facetag_cli.output.retraining_summary import (
    describe_retraining,
    mention_retraining,
    render_list,
    render_retraining,
)

LONG_AGO = datetime(2025, 1, 31, 8, 12, tzinfo=UTC)
VERDICT = {"holds": False, "against": "v1", "reasons": ["age RMSE: worse: fails"]}


@pytest.fixture
def make_row():
    def make_row(**values):
        shards = {"new": [{"name": "a.tar", "sha256": "ab"}, {"url": "s3://photos/b.tar"}]}
        plain = {"state": "queued", "step": 0, "deaths": 0, "created_at": LONG_AGO}
        return Retraining(id=uuid.uuid4(), shards=shards, options={}, **{**plain, **values})

    return make_row


def test_one_that_nobody_takes_up_says_what_to_start(make_row):
    shown = render_retraining(make_row())
    assert (
        "on a.tar, s3://photos/b.tar has waited for a trainer worker since 2025-01-31 08:12 UTC"
        in shown
    )
    assert "facetag worker --trainer" in shown
    fresh = make_row(created_at=datetime.now(UTC) - timedelta(seconds=2))
    assert "facetag worker --trainer" not in render_retraining(fresh)
    # Given back by one that stops, it was taken up before.
    assert "facetag worker --trainer" not in render_retraining(make_row(started_at=LONG_AGO))


def test_one_that_runs_says_how_far_it_is(make_row):
    row = make_row(state="running", started_at=LONG_AGO, stage="Fitting: 8 images", step=3, steps=8)
    assert "has been running since 2025-01-31 08:12 UTC" in render_retraining(row)
    assert "3 of 8 steps (37%)" in render_retraining(row)
    assert mention_retraining(row).endswith(
        "has been running since 2025-01-31 08:12 UTC: Fitting: 8 images"
    )


def test_one_that_was_refused_says_why_and_how_to_have_it_all_the_same(make_row):
    row = make_row(
        state="refused", version="v2", verdict=VERDICT, finished_at=LONG_AGO, stage="Judging"
    )
    shown = render_retraining(row)
    assert "v2 fails the comparison with v1:\n  age RMSE: worse: fails" in shown
    assert "facetag models promote v2 --force" in shown
    assert "Judging" not in shown


def test_one_that_failed_says_why(make_row):
    row = make_row(state="failed", error="a.tar is no tar", finished_at=LONG_AGO, deaths=3)
    assert "has ended: failed" in render_retraining(row)
    assert "a.tar is no tar" in render_retraining(row)
    found = describe_retraining(row)
    assert (found["state"], found["error"]) == ("failed", "a.tar is no tar")
    assert found["finished_at"] == "2025-01-31T08:12:00+00:00"


def test_the_list_has_a_line_per_retraining_with_its_progress_or_its_version(make_row):
    running = make_row(state="running", stage="Fitting: 8 images", step=3, steps=8)
    ended = make_row(state="promoted", version="v2", finished_at=LONG_AGO, step=8, steps=8)
    lines = [line for line in render_list([running, ended]).splitlines() if "a.tar" in line]
    assert "Fitting: 8 images; 3 of 8 steps (37%)" in " ".join(lines[0].split())
    assert "promoted" in lines[1]
    assert "v2" in lines[1]
    assert "steps" not in lines[1]
    assert render_list([]) == "No retraining has been queued yet."


def test_the_list_is_shown_on_a_terminal_as_it_is_in_a_file(make_row, monkeypatch):
    row = make_row(state="promoted", version="v2", finished_at=LONG_AGO)
    row.shards = {"new": [{"name": "[link=http://evil.example]a[/link].tar", "sha256": "ab"}]}
    plain = render_list([row])
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert render_list([row]) == plain
    assert "[link=" in plain
