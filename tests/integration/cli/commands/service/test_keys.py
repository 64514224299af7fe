import json

import pytest

pytestmark = pytest.mark.integration


def test_a_key_is_shown_once_and_can_be_listed_and_revoked(facetag):
    made = facetag("keys", "create", "--name", "museum", "--tenant", "m", "--expires", "90d")
    assert made.exit_code == 0, made.output
    key = made.output.strip()
    (row,) = json.loads(facetag("keys", "list", "--format", "json").output)
    assert (row["name"], row["tenant"], row["scope"]) == ("museum", "m", "jobs")
    shown = facetag("keys", "list").output
    assert row["id"] in shown
    assert key not in shown
    assert "revoked" in facetag("keys", "revoke", row["id"]).output
    again = facetag("keys", "revoke", row["id"])
    assert again.exit_code == 1
    assert "facetag keys list" in again.output


def test_a_time_that_is_none_is_refused(facetag):
    refused = facetag("keys", "create", "--name", "a", "--expires", "soon")
    assert refused.exit_code == 2
    assert "90d" in refused.output
