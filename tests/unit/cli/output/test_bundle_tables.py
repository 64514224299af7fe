"""Bundles as tables: a manifest is its author's, and must not steer who looks at it."""

from datetime import UTC, datetime

import pytest

from facetag.db.tables import Model
from facetag_cli.output.bundle_tables import (
    describe_bundle,
    describe_rows,
    render_bundle,
    render_rows,
)

EVIL = "\x1b]0;owned\x07\x9b2J[/]\u202e"


@pytest.fixture
def bundle():
    figures = {"age": {"rmse": 6.5}}
    manifest = {
        "parent": EVIL,
        "metrics": {"test": figures},
        "domains": {EVIL: {"before": figures, "after": figures}},
        "shards": [{"name": EVIL, "sha256": EVIL}],
        "weights_sha256": EVIL,
    }
    verdict = {"holds": True, "against": EVIL, "reasons": [EVIL]}
    created = datetime(2025, 1, 31, tzinfo=UTC)
    return Model(
        version="v1", state="candidate", manifest=manifest, verdict=verdict, created_at=created
    )


@pytest.mark.parametrize("color", ["", "1"])
def test_no_word_of_a_manifest_steers_a_terminal(bundle, monkeypatch, color):
    monkeypatch.setenv("FORCE_COLOR", color)
    for shown in (render_rows(describe_rows([bundle])), render_bundle(describe_bundle(bundle))):
        assert shown.isprintable() or set(filter(lambda one: not one.isprintable(), shown)) == {
            "\n"
        }
        assert r"\x1b" in shown
        assert "[/]" in shown
