import socket

import pytest

from facetag_cli.upload.form_poster import JOINED_BYTES, FormPoster, FormsUnanswered


@pytest.fixture
def poster():
    with FormPoster(2) as poster:
        yield poster


@pytest.mark.parametrize("size", [100, JOINED_BYTES + 1])
def test_a_file_arrives_as_it_is_behind_its_fields(service, poster, size):
    data = (b"\r\n--facetag\r\n\0\xff" * size)[:size]
    status, _ = poster.post(f"{service.url}/store", {"key": "ü.jpg"}, data)
    assert status == 204
    assert service.objects == {"ü.jpg": data}


def test_an_empty_file_is_sent_too(service, poster):
    poster.post(f"{service.url}/store", {"key": "k"}, b"")
    assert service.objects == {"k": b""}


def test_a_refusal_comes_back_with_its_reason(service, poster):
    service.troubles["/store"] = [403]
    assert poster.post(f"{service.url}/store", {"key": "k"}, b"data") == (403, "Forbidden")


def test_no_answer_is_told_as_such(poster):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
    with pytest.raises(FormsUnanswered):
        poster.post(url, {}, b"data")


def test_another_host_is_reached_by_the_proxy_and_this_machine_is_not(service, poster, monkeypatch):
    proxied = service.url.removeprefix("http://")
    monkeypatch.setenv("http_proxy", proxied)
    monkeypatch.delenv("no_proxy", raising=False)
    poster.post("http://store.example/bucket", {"key": "far"}, b"data")
    # The service knows no such path; that it was asked is what counts.
    assert ("POST", "http://store.example/bucket") in [made[:2] for made in service.requests]
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    poster.post(f"{service.url}/store", {"key": "near"}, b"data")
    assert service.objects == {"near": b"data"}
