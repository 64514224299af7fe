"""Who may do what: keys, scopes, tenants, and the page's session."""

import time

import httpx
import pytest

from facetag.access.keys import Scope, revoke_key
from facetag.access.tokens import Token
from facetag.standalone.local_key import make_page_link
from facetag_api.middleware import authentication
from facetag_api.middleware.authentication import COOKIE

pytestmark = pytest.mark.integration

ID = "00000000-0000-4000-8000-000000000000"
OF_ONE_JOB = [
    ("GET", ""),
    ("GET", "/images"),
    ("GET", "/results"),
    ("POST", "/cancel"),
    ("POST", "/retry"),
    ("POST", "/retag"),
    ("DELETE", ""),
]


@pytest.fixture
def stranger(api, harness):
    """A client of another tenant."""
    with httpx.Client(base_url=api.base_url, headers=harness.make_key(tenant_id="other")) as client:
        yield client


@pytest.fixture
def nobody(api):
    with httpx.Client(base_url=api.base_url) as client:
        yield client


def make_job(api, tenant="local"):
    body = {"images": [{"key": f"tenants/{tenant}/images/aa/{'a' * 64}.jpg"}]}
    answer = api.post("/v1/jobs", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def test_without_a_key_nothing_is_served_but_the_sign_of_life(api, nobody):
    paths = api.get("/openapi.json").json()["paths"]
    routes = [(method, path) for path, methods in paths.items() for method in methods]
    routes += [("get", "/"), ("get", "/page.js"), ("get", "/openapi.json"), ("get", "/nothing")]
    assert len(routes) > 15
    for method, path in routes:
        answer = nobody.request(method, path.replace("{job_id}", ID))
        wanted = 200 if path == "/healthz" else 401
        assert answer.status_code == wanted, (method, path)
    for text in ("Bearer", "Bearer x", "Basic eDp5", f"Bearer {Token.make().text}"):
        answer = nobody.get("/v1/jobs", headers={"Authorization": text})
        assert answer.status_code == 401
        assert "Bearer" in answer.headers["www-authenticate"]


def test_another_tenants_job_is_not_there(api, stranger):
    job = make_job(api)
    for method, path in OF_ONE_JOB:
        answer = stranger.request(method, f"/v1/jobs/{job}{path}")
        assert answer.status_code == 404, (method, path)
    assert stranger.get("/v1/jobs").json()["jobs"] == []
    assert api.get(f"/v1/jobs/{job}").json()["state"] == "queued"


def test_another_tenants_photos_cannot_be_named(api, stranger):
    make_job(stranger, tenant="other")
    body = {"images": [{"key": "tenants/local/images/aa/a.jpg"}]}
    assert stranger.post("/v1/jobs", json=body).status_code == 422
    file = {"sha256": "a" * 64, "size": 1}
    (upload,) = stranger.post("/v1/uploads", json={"files": [file]}).json()["uploads"]
    assert upload["key"].startswith("tenants/other/images/")


@pytest.mark.parametrize(
    ("scope", "reads", "makes"),
    [(Scope.READ, 200, 403), (Scope.REVIEW, 200, 403), (Scope.JOBS, 200, 422)],
)
def test_a_scope_allows_what_it_names(api, harness, scope, reads, makes):
    headers = harness.make_key(scope=scope)
    with httpx.Client(base_url=api.base_url, headers=headers) as client:
        assert client.get("/v1/jobs").status_code == reads
        assert client.post("/v1/jobs", json={}).status_code == makes
        own = client.get("/v1/caller").json()
    assert (own["name"], own["tenant"], own["scope"]) == ("test", "local", scope)
    assert ("jobs" in own["allows"]) == (makes != 403)


def test_a_revoked_key_is_of_no_use_once_it_is_looked_up_again(api, harness, monkeypatch):
    headers = harness.make_key()
    assert api.get("/v1/jobs", headers=headers).status_code == 200
    with harness.transaction() as session:
        revoke_key(session, headers["Authorization"].split("_")[1])
    monkeypatch.setattr(authentication, "FRESH_S", 0.0)
    assert api.get("/v1/jobs", headers=headers).status_code == 401


def test_a_key_that_is_revoked_while_a_body_arrives_makes_no_job(api, harness, monkeypatch):
    monkeypatch.setattr(authentication, "FRESH_S", 0.0)
    body = b'{"images": [{"key": "tenants/local/images/aa/a"}]}'
    for is_revoked, status in ((False, 202), (True, 401)):
        headers = harness.make_key()

        def trickle(headers=headers, is_revoked=is_revoked):
            yield body[:9]
            time.sleep(0.2)
            with harness.transaction() as session:
                if is_revoked:
                    revoke_key(session, headers["Authorization"].split("_")[1])
            yield body[9:]

        declared = headers | {"Content-Type": "application/json"}
        assert api.post("/v1/jobs", content=trickle(), headers=declared).status_code == status
    assert len(api.get("/v1/jobs").json()["jobs"]) == 1


def test_the_page_opens_by_a_link_that_works_once(harness, nobody):
    assert nobody.get("/", headers={"Accept": "text/html"}).status_code == 401
    with harness.transaction() as session:
        link = make_page_link(session, str(nobody.base_url).rstrip("/"), tenant_id="local")
    answer = nobody.get(link)
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert nobody.get("/").status_code == 200
    assert nobody.get("/v1/jobs").status_code == 200
    # The cookie is no key: a page that learnt it could not send it in a header.
    session_token = nobody.cookies[COOKIE]
    assert (
        httpx.get(
            nobody.base_url.join("/v1/jobs"), headers={"Authorization": f"Bearer {session_token}"}
        ).status_code
        == 401
    )
    assert httpx.get(link).status_code == 403
    assert nobody.post("/logout").status_code == 204
