import re

import structlog

from facetag_api.middleware.request_log import choose_request_id


def test_an_id_that_is_fit_for_a_log_is_kept():
    assert choose_request_id("abc.DEF_1-2") == "abc.DEF_1-2"


def test_an_id_that_would_break_a_log_is_replaced():
    for given in (None, "", "a\nb", "a b", "x" * 65, "<script>"):
        assert re.fullmatch(r"[0-9a-f]{32}", choose_request_id(given))


def test_every_line_of_a_request_carries_its_id(client):
    with structlog.testing.capture_logs(
        processors=[structlog.contextvars.merge_contextvars]
    ) as lines:
        client.get("/v1/jobs", headers={"X-Request-ID": "one"})
    assert {"service_unavailable", "request"} <= {line["event"] for line in lines}
    assert {line["request_id"] for line in lines} == {"one"}
    (request,) = [line for line in lines if line["event"] == "request"]
    assert (request["method"], request["path"], request["status"]) == ("GET", "/v1/jobs", 503)


def test_no_line_tells_a_key_that_somebody_put_into_an_address(client):
    secret = "ft_0123456789ab_" + "s" * 43
    with structlog.testing.capture_logs() as lines:
        client.get(f"/v1/jobs?key={secret}", headers={"Authorization": f"Bearer {secret}"})
        client.get(f"/healthz?code={secret}", headers={"X-Request-ID": secret})
    assert lines
    assert secret not in str([line for line in lines if line["event"] == "request"])
