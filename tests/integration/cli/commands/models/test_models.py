"""`facetag models` against real servers."""

import json

import pytest

from facetag.bundles.bundle_folder import WEIGHTS, read_manifest
from facetag.bundles.object_store import bundle_key
from facetag.bundles.registry import add_bundle, register_model
from facetag.db.engine import transaction
from facetag.storage.client import make_storage
from tests.integration.paper_bundles import write_paper_bundle

pytestmark = pytest.mark.integration


@pytest.fixture
def second(tmp_path):
    table = {"age": {"rmse": 6.5}, "gender": {"accuracy": 0.95}}
    return write_paper_bundle(
        tmp_path / "second", "v2", parent="v1", metrics={"test": {"table": table}}
    )


def states(facetag):
    run = facetag("models", "list", "--format", "json")
    return {row["version"]: row["state"] for row in json.loads(run.stdout)}


def register_first(settings, sessions):
    """As a worker does with its machine's bundle."""
    with transaction(sessions) as session:
        register_model(session, "local", read_manifest(settings.bundle))


def test_without_any_bundle_the_list_says_so(facetag):
    run = facetag("models", "list")
    assert run.exit_code == 0
    assert "No bundle is known" in run.stdout


def test_a_folder_is_stored_and_promoted_and_rolled_back(facetag, settings, sessions, second):
    register_first(settings, sessions)
    run = facetag("models", "promote", second, "--force")
    assert run.exit_code == 0, run.output
    assert run.stdout == "v2 is the champion now; the previous champion is v1.\n"
    assert states(facetag) == {"v1": "retired", "v2": "champion"}
    assert (
        facetag("models", "rollback").stdout
        == "v1 is the champion now; the previous champion is v2.\n"
    )
    assert states(facetag) == {"v1": "champion", "v2": "retired"}
    again = facetag("models", "rollback")
    assert again.exit_code == 1
    assert "none to roll back to" in again.output


def test_the_machines_own_bundle_is_stored_when_it_is_promoted_by_its_version(
    facetag, settings, sessions, second
):
    register_first(settings, sessions)
    facetag("models", "promote", second, "--force")
    assert facetag("models", "promote", "v1", "--force").exit_code == 0
    shown = json.loads(facetag("models", "show", "v1", "--format", "json").stdout)
    assert sorted(shown["files"]) == ["bundle.json", "card.md", "network.weights.h5"]


def test_the_list_and_a_bundle_show_figures_and_where_they_come_from(facetag, second):
    facetag("models", "promote", second, "--force")
    listed = facetag("models", "list").stdout
    assert "6.500" in listed
    assert "0.950" in listed
    shown = facetag("models", "show", "v2").stdout
    assert "v2: champion" in shown
    assert "parent v1" in shown
    assert "on its test: age rmse 6.500, gender accuracy 0.950" in shown


def test_a_verdict_is_shown_and_refuses_without_force(facetag, sessions, second):
    facetag("models", "promote", second, "--force")
    verdict = {"holds": False, "against": "v2", "reasons": ["age RMSE rose by 1.0 years"]}
    with transaction(sessions) as session:
        manifest = {"version": "v3", "weights_sha256": "aa", "parent": "v2"}
        add_bundle(session, manifest, {}, tenant_id="local", verdict=verdict)
    assert (
        "fails the comparison with v2:\n  age RMSE rose" in facetag("models", "show", "v3").stdout
    )
    refused = facetag("models", "promote", "v3")
    assert refused.exit_code == 1
    assert "age RMSE rose by 1.0 years" in refused.output
    assert states(facetag)["v2"] == "champion"
    assert facetag("models", "promote", "v3", "--force").exit_code == 0


def test_a_folder_with_a_changed_byte_is_refused_and_leaves_no_row(facetag, second):
    (second / "network.weights.h5").write_bytes(b"other weights")
    run = facetag("models", "promote", second, "--force")
    assert run.exit_code == 1
    assert "SHA-256 differs" in run.output
    assert states(facetag) == {}


def test_a_byte_that_was_changed_in_object_storage_refuses_the_promotion(
    facetag, settings, sessions, second
):
    register_first(settings, sessions)
    facetag("models", "promote", second, "--force")
    facetag("models", "rollback")
    digest = read_manifest(second)["weights_sha256"]
    make_storage(settings).operator.put(
        bundle_key("local", "v2", WEIGHTS, digest), b"other weights", "text/plain"
    )
    refused = facetag("models", "promote", "v2", "--force")
    assert refused.exit_code == 1
    assert "damaged or tampered with" in refused.output
    assert states(facetag)["v1"] == "champion"


def test_an_unknown_version_is_one_line(facetag):
    run = facetag("models", "show", "nothing")
    assert run.exit_code == 1
    assert "see `facetag models list`" in run.output
