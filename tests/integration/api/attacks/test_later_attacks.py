"""Attacks by timing, by numbers and by other sites' links, and what comes of them."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from facetag import jobs
from facetag.access.keys import Scope, revoke_key
from facetag.standalone.local_key import make_page_link
from facetag_api import job_listener, limits
from facetag_api.app import create_app
from facetag_api.middleware.authentication import COOKIE
from facetag_api.routes import job_events
from tests.integration.api.conftest import serve
from tests.integration.worker.harness import png

pytestmark = pytest.mark.integration

ONE = {"images": [{"key": "tenants/local/images/aa/a.jpg"}]}


def test_an_open_stream_ends_with_the_key_that_opened_it(api, harness, monkeypatch):
    monkeypatch.setattr(job_events, "LOOK_S", 0.2)
    job_id = harness.post(harness.put(png()))
    headers = harness.make_key(scope=Scope.READ)
    with api.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers, timeout=10) as events:
        lines = events.iter_lines()
        assert next(lines).startswith("data: ")
        with harness.transaction() as session:
            revoke_key(session, headers["Authorization"].split("_")[1])
        assert "event: end" not in list(lines), "it is not told that the job has ended"


def test_followers_of_one_tenant_leave_places_to_others(api, harness, monkeypatch):
    monkeypatch.setattr(job_listener, "MAX_TENANT_FOLLOWERS", 1)
    job = f"/v1/jobs/{harness.post(harness.put(png()))}"
    path = f"{job}/events"
    with api.stream("GET", path, timeout=20) as events:
        lines = events.iter_lines()
        next(lines)
        refused = api.get(path, timeout=20)
        assert refused.status_code == 503
        assert "poll" in refused.json()["detail"]
        other = harness.make_key(tenant_id="other")
        assert api.get(path, headers=other).status_code == 404
        assert api.post(f"{job}/cancel").status_code == 200
        assert "event: end" in list(lines)


def test_another_sites_link_logs_nobody_in_under_its_own_key(api, harness):
    with harness.transaction() as session:
        link = make_page_link(session, str(api.base_url).rstrip("/"), tenant_id="evil")
    with httpx.Client() as browser:
        for site in ("cross-site", "same-site"):
            sent = browser.get(link, headers={"Sec-Fetch-Site": site})
            assert sent.status_code == 403
            assert "set-cookie" not in sent.headers
        ahead = browser.get(link, headers={"Sec-Purpose": "prefetch;prerender"})
        assert ahead.status_code == 503
        # The link is not used up, and works where its reader opens it.
        assert browser.get(link, headers={"Sec-Fetch-Site": "none"}).status_code == 303


def test_a_session_cookie_that_another_page_adds_counts_for_nothing(api, harness):
    with harness.transaction() as session:
        links = [
            make_page_link(session, str(api.base_url).rstrip("/"), tenant_id=tenant)
            for tenant in ("local", "evil")
        ]
    mine, evil = (httpx.get(link).cookies[COOKIE] for link in links)
    with httpx.Client(base_url=api.base_url) as browser:
        for cookies in ((mine, evil), (evil, mine)):
            both = "; ".join(f"{COOKIE}={cookie}" for cookie in cookies)
            assert browser.get("/v1/jobs", headers={"Cookie": both}).status_code == 401
        alone = {"Cookie": f"{COOKIE}={mine}"}
        assert browser.get("/v1/jobs", headers=alone).status_code == 200


def test_a_link_that_many_follow_at_once_opens_one_session(api, harness):
    with harness.transaction() as session:
        link = make_page_link(session, str(api.base_url).rstrip("/"), tenant_id="local")
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: httpx.get(link).status_code, range(8)))
    assert sorted(answers) == [303] + [403] * 7


def test_a_reader_may_end_its_session_and_no_more(api, harness):
    headers = harness.make_key(scope=Scope.READ)
    assert api.post("/v1/jobs", json=ONE, headers=headers).status_code == 403
    assert api.post("/logout", headers=headers).status_code == 204


def test_requests_at_the_same_moment_do_not_pass_the_end_of_jobs_together(settings, harness):
    few = settings.model_copy(update={"max_open_jobs": 3})
    ready = threading.Barrier(10)
    with serve(few, harness.make_key()) as api:

        def post(_number):
            ready.wait()
            return api.post("/v1/jobs", json=ONE).status_code

        with ThreadPoolExecutor(10) as threads:
            answers = list(threads.map(post, range(10)))
        assert sorted(answers) == [202] * 3 + [429] * 7
        # Cancelled jobs are no way around it.
        first = api.get("/v1/jobs").json()["jobs"][0]["id"]
        assert api.post(f"/v1/jobs/{first}/cancel").status_code == 200
        assert api.post("/v1/jobs", json=ONE).status_code == 202
        assert api.post(f"/v1/jobs/{first}/resume").status_code == 429


def test_no_second_spelling_names_an_upload(api):
    for key in ("tenants/local/images//aa/a.jpg", "tenants/local/images/aa//a.jpg"):
        assert api.post("/v1/jobs", json={"images": [{"key": key}]}).status_code == 422, key


def test_the_other_job_of_a_comparison_must_be_the_tenants_own(api, harness):
    mine = harness.post(harness.put(png()))
    foreign = {"order": "disagreement", "against": str(mine)}
    other = harness.make_key(tenant_id="other")
    body = {"images": [{"key": "tenants/other/images/aa/a.jpg"}]}
    theirs = api.post("/v1/jobs", json=body, headers=other).json()["id"]
    answer = api.get(f"/v1/jobs/{theirs}/review/queue", params=foreign, headers=other)
    assert answer.status_code in (200, 404)
    assert answer.status_code == 404 or answer.json()["faces"] == []


def test_counts_of_large_jobs_leave_threads_to_others(settings, harness, monkeypatch):
    monkeypatch.setattr(limits, "MAX_LARGE_COMPOSITIONS", 0)
    with serve(settings, harness.make_key()) as api:
        job = api.post("/v1/jobs", json=ONE).json()
        path = f"/v1/jobs/{job['id']}/composition"
        assert api.get(path).status_code == 200
        monkeypatch.setattr(limits, "LARGE_COMPOSITION", 0)
        refused = api.get(path)
        assert refused.status_code == 503
        assert refused.headers["retry-after"]


def test_a_deleted_job_whose_rows_are_left_answers_on_no_route(settings, api, harness, worker):
    worker()
    (key,) = harness.put(png())
    ids = [api.post("/v1/jobs", json={"images": [{"key": key}]}).json()["id"] for _ in range(2)]
    for job_id in ids:
        harness.wait_until_closed(job_id)
    path = f"/v1/jobs/{ids[0]}"
    link = api.get(f"{path}/images/0/photo", follow_redirects=False).headers["location"]
    for more in ("response-content-type=text/html", "versionId=1", "x-id=GetObject"):
        assert httpx.get(f"{link}&{more}").status_code == 403, more
    with harness.transaction() as session:
        jobs.delete_job(session, uuid.UUID(ids[0]), tenant_id="local")
    review = {"position": 0, "face": 0, "verdict": "accepted", "reviewer": "anna"}
    for route, methods in create_app(settings).openapi()["paths"].items():
        place = route.replace("{job_id}", ids[0]).replace("{position}", "0")
        place = place.replace("{review_id}", "1")
        for method in methods if place.startswith(path) else ():
            body = review if method == "post" and place.endswith("/reviews") else None
            answer = api.request(method, place, json=body)
            assert answer.status_code == 404, (method, route)
    assert ids[0] not in api.get("/v1/jobs").text
    queue = {"order": "disagreement", "against": ids[0]}
    assert api.get(f"/v1/jobs/{ids[1]}/review/queue", params=queue).json()["faces"] == []
