import pytest

from facetag.settings import load_settings
from facetag_api.middleware.security import allowed_hosts, host_name


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


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost:80:80",
        "a@localhost",
        "",
        "[::1",
        "[::1].evil.example",
    ],
)
def test_an_unknown_host_is_refused_although_the_browser_thinks_it_the_same_site(client, host):
    headers = {"Host": host, "Sec-Fetch-Site": "same-origin"}
    assert client.get("/v1/jobs", headers=headers).status_code == 421
    assert client.get("/healthz", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "host", ["photos.example", "Photos.Example:1", "a.example:8443", "[2001:db8::7]:8000"]
)
def test_a_host_is_allowed_with_any_port(settings, host):
    hosts = "Photos.example, a.example:8443, 2001:db8::7"
    given = load_settings(**settings.model_dump() | {"allowed_hosts": hosts})
    assert host_name(host) in allowed_hosts(given)
    assert "other.example" not in allowed_hosts(given)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST:1"])
def test_this_machine_is_known_under_all_its_names(client, host):
    assert client.post("/v1/jobs", json={}, headers={"Host": host}).status_code == 422


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://testserver:81", ""])
def test_a_foreign_origin_may_change_nothing_where_browsers_send_no_fetch_site(client, origin):
    assert client.post("/v1/jobs", json={}, headers={"Origin": origin}).status_code == 403
    own = {"Origin": "http://testserver"}
    assert client.post("/v1/jobs", json={}, headers=own).status_code == 422


@pytest.mark.parametrize(
    "origin", ["http://[", "http://a]", "ftp://{host}", "extension://{host}", "{host}", "null"]
)
def test_an_origin_that_is_odd_or_no_web_page_is_another(client, origin):
    host = client.base_url.netloc.decode()
    answer = client.post("/v1/jobs", json={}, headers={"Origin": origin.format(host=host)})
    assert answer.status_code == 403
    own = client.post("/v1/jobs", json={}, headers={"Origin": f"https://{host}"})
    assert own.status_code == 422
