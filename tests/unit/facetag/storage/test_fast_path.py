import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from facetag.errors import ImageUnreadable, SettingsInvalid
from facetag.settings import Settings
from facetag.storage.client import make_storage

PHOTO = b"a photo, stored as it is whatever its headers say"
KEYS = {"s3_access_key": "access", "s3_secret_key": "secret"}


class Store(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer(b"")

    def do_GET(self):
        self.answer(PHOTO)

    def do_PUT(self):
        self.server.put.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(b"")

    def answer(self, body):
        self.server.asked.append(self.path)
        self.send_response(self.server.statuses.pop(0))
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        cut = self.server.cuts.pop() if self.server.cuts else None
        self.wfile.write(body[:cut])
        self.close_connection = cut is not None

    def log_message(self, *args):
        pass


@pytest.fixture
def store(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        server.asked, server.statuses, server.put, server.cuts = [], [], [], []
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def storage_at(url, **changes):
    return make_storage(Settings(**{"s3_endpoint_url": url, "s3_bucket": "photos"} | changes))


@pytest.mark.parametrize(("status", "there"), [(200, True), (404, False)])
def test_a_plain_answer_is_asked_for_once(store, status, there):
    store.statuses = [status]
    assert storage_at(store.url, **KEYS).exists("a b/ü.jpg") is there
    assert store.asked == ["/photos/a%20b/%C3%BC.jpg"]


def test_an_object_is_asked_for_once_and_neither_unpacked_nor_read_beyond_its_bound(store):
    store.statuses = [200] * 3
    storage = storage_at(store.url, **KEYS)
    assert storage.fetch("photos", "a b.jpg", len(PHOTO)) == PHOTO
    assert store.asked == ["/photos/a%20b.jpg"]
    with pytest.raises(ImageUnreadable, match="bytes"):
        storage.fetch("photos", "a b.jpg", len(PHOTO) - 1)


def test_an_object_is_put_once(store):
    store.statuses = [200]
    storage_at(store.url, **KEYS).put("a.jpg", PHOTO, "image/jpeg")
    assert (store.asked, store.put) == (["/photos/a.jpg"], [PHOTO])


@pytest.mark.parametrize(
    ("work", "answer"),
    [
        (lambda storage: storage.exists("a.jpg"), True),
        (lambda storage: storage.fetch("photos", "a.jpg", 1000), PHOTO),
        (lambda storage: storage.put("a.jpg", PHOTO, "image/jpeg"), None),
    ],
    ids=["exists", "fetch", "put"],
)
def test_another_answer_is_left_to_the_client_which_tries_again(store, work, answer):
    store.statuses = [503, 503, 200]
    assert work(storage_at(store.url, **KEYS)) == answer
    assert len(store.asked) == 3


def test_an_object_that_is_cut_off_once_is_fetched_again(store):
    store.statuses, store.cuts = [200, 200], [10]
    assert storage_at(store.url, **KEYS).fetch("photos", "a.jpg", 1000) == PHOTO
    assert len(store.asked) == 2


def test_without_keys_the_settings_are_named(store, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    storage = storage_at(store.url)
    with pytest.raises(SettingsInvalid, match="FACETAG_S3_ACCESS_KEY"):
        storage.exists("a.jpg")
    with pytest.raises(SettingsInvalid, match="FACETAG_S3_ACCESS_KEY"):
        storage.presign_post("a.jpg", size=1, content_type="image/jpeg", sha256="00" * 32)


@pytest.mark.parametrize(
    ("endpoint", "region", "url"),
    [
        ("http://store.example:9000", "us-east-1", "http://store.example:9000/photos"),
        (None, "eu-west-1", "https://photos.s3.amazonaws.com/"),
    ],
)
def test_a_form_is_what_the_client_itself_would_sign(endpoint, region, url):
    storage = storage_at(endpoint, s3_region=region, **KEYS)
    form = storage.presign_post("k.jpg", size=7, content_type="image/jpeg", sha256="00" * 32)
    fixed = {name: form["fields"][name] for name in form["fields"] if not name.startswith("x-amz-")}
    policy = json.loads(base64.b64decode(fixed.pop("policy")))
    theirs = storage._client.generate_presigned_post(
        "photos",
        "k.jpg",
        Fields={"Content-Type": "image/jpeg"},
        Conditions=[{"Content-Type": "image/jpeg"}, ["content-length-range", 7, 7]],
    )
    assert form["url"] == theirs["url"] == url
    assert fixed == {"key": "k.jpg", "Content-Type": "image/jpeg"}
    assert theirs["fields"].keys() <= form["fields"].keys()
    assert form["fields"]["x-amz-credential"] == theirs["fields"]["x-amz-credential"]
    assert ["content-length-range", 7, 7] in policy["conditions"]
    assert {"bucket": "photos"} in policy["conditions"]
    assert {"key": "k.jpg"} in policy["conditions"]
