import json

import httpx
import pytest

from facetag.access.keys import Scope, find_caller, open_page_session
from facetag.access.tokens import Token
from facetag.db.tables import KeyKind
from facetag_cli.client.direct_access import open_database
from facetag_cli.client.service_choice import read_settings

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


def test_a_link_to_the_page_allows_what_its_scope_says(facetag, monkeypatch):
    monkeypatch.setenv("FACETAG_API_URL", "http://127.0.0.1:1")
    made = facetag("keys", "link", "--name", "ben", "--scope", "review")
    assert made.exit_code == 0, made.output
    code = httpx.URL(made.output.strip()).params["code"]
    with open_database(read_settings(None)) as session:
        opened = open_page_session(session, Token.parse(code))
        caller = find_caller(session, opened, kind=KeyKind.SESSION)
    assert (caller.name, caller.scope) == ("ben", Scope.REVIEW)
