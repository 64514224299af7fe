import pytest


def test_every_answer_carries_the_headers(client):
    for answer in (client.get("/healthz"), client.get("/nothing"), client.get("/")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "access-control-allow-origin" not in answer.headers


def test_answers_of_the_api_stay_out_of_caches(client):
    assert client.get("/v1/jobs").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_site_may_change_nothing(client, site):
    answer = client.post(
        "/v1/predict", files={"file": ("a.jpg", b"x")}, headers={"Sec-Fetch-Site": site}
    )
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_the_own_page_may(client, site):
    answer = client.post("/v1/jobs", json={}, headers={"Sec-Fetch-Site": site})
    assert answer.status_code == 422


def test_another_origin_gets_no_leave_to_read(client):
    answer = client.options(
        "/v1/jobs",
        headers={"Origin": "https://example.org", "Access-Control-Request-Method": "POST"},
    )
    assert answer.status_code == 405
    assert "access-control-allow-origin" not in answer.headers
