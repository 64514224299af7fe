from tests.unit.api.conftest import open_client


def test_requests_are_counted_by_route_and_not_by_path(app):
    # An application of its own: the session's has counted the requests of other tests.
    with open_client(app) as client:
        for job in ("a", "b"):
            client.get(f"/v1/jobs/{job}")
        client.get("/surprise/1")
        client.request("BREW", "/healthz")
        text = client.get("/metrics").text
    wanted = 'facetag_http_requests_total{method="GET",route="/v1/jobs/{job_id}",status="404"} 2.0'
    assert wanted in text
    assert 'route="unmatched"' in text
    assert "surprise" not in text
    assert "BREW" not in text
    assert "facetag_http_request_seconds_bucket" in text


def test_figures_are_given_while_the_database_is_down(client):
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert "facetag_database_up 0.0" in answer.text
    assert "process_resident_memory_bytes" in answer.text
