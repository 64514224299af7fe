import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from pydantic import SecretStr

from facetag.errors import StorageUnavailable
from facetag.settings import Settings
from facetag.storage.client import make_storage
from facetag.storage.object_keys import image_key

SHA256 = hashlib.sha256(b"photo").hexdigest()
SETTINGS = Settings(
    s3_endpoint_url="http://127.0.0.1:9",
    s3_bucket="photos",
    s3_access_key=SecretStr("access"),
    s3_secret_key=SecretStr("secret"),
)


@pytest.fixture
def post():
    arguments = {"size": 5, "content_type": "image/jpeg", "sha256": SHA256}
    return make_storage(SETTINGS).presign_post("tenants/local/x.jpg", **arguments)


def test_a_key_lies_below_its_tenant_and_names_the_bytes():
    assert image_key("local", SHA256, ".jpg") == (f"tenants/local/images/{SHA256[:2]}/{SHA256}.jpg")


def test_a_form_is_bound_to_bucket_key_size_type_and_content(post):
    policy = json.loads(base64.b64decode(post["fields"]["policy"]))
    conditions = policy["conditions"]
    checksum = base64.b64encode(hashlib.sha256(b"photo").digest()).decode()
    assert ["content-length-range", 5, 5] in conditions
    for exact in (
        {"bucket": "photos"},
        {"key": "tenants/local/x.jpg"},
        {"Content-Type": "image/jpeg"},
        {"x-amz-checksum-sha256": checksum},
    ):
        assert exact in conditions


def test_every_field_of_a_form_is_bound_so_that_none_can_be_changed(post):
    policy = json.loads(base64.b64decode(post["fields"]["policy"]))
    bound = {
        name
        for condition in policy["conditions"]
        if isinstance(condition, dict)
        for name in condition
    }
    assert set(post["fields"]) - {"policy", "x-amz-signature"} <= bound


def test_the_address_holds_the_bucket_as_a_path(post):
    assert post["url"] == "http://127.0.0.1:9/photos"


def test_a_form_never_holds_the_secret(post):
    assert "secret" not in json.dumps(post)


class CuttingHandler(BaseHTTPRequestHandler):
    """Promise a hundred bytes, send ten and hang up."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.send_header("ETag", '"1"')
        self.end_headers()
        self.wfile.write(b"x" * 10)

    def log_message(self, *_):
        pass


@pytest.fixture
def cutting_storage():
    with HTTPServer(("127.0.0.1", 0), CuttingHandler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        yield make_storage(SETTINGS.model_copy(update={"s3_endpoint_url": url}))
        server.shutdown()
        thread.join()


def test_an_object_that_is_cut_off_is_worth_another_try(cutting_storage):
    with pytest.raises(StorageUnavailable):
        cutting_storage.fetch("photos", "a.jpg", max_bytes=1000)


def test_a_download_that_is_cut_off_is_worth_another_try(cutting_storage):
    with (
        pytest.raises(StorageUnavailable),
        cutting_storage.download("photos", "a.tar") as download,
    ):
        list(download.chunks)
