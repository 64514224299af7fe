"""Identities without keys in the settings: a task's role, and a role that reads a source bucket.

SeaweedFS tells two identities apart: the service's, and one that reaches our photos alone. What
gives out keys (a task's metadata server, and STS) is imitated.
"""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from facetag.errors import ObjectRefused, StorageUnavailable
from facetag.settings import load_settings
from facetag.storage.client import make_storage

pytestmark = pytest.mark.integration

SOURCE, KEY, PHOTO = "museum", "hall/portrait.jpg", b"photo"
ROLE = "arn:aws:iam::123456789012:role/reads-museum"
LATER = "2100-01-01T00:00:00Z"
REFUSAL = (
    "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>"
    "<Message>You may not assume it</Message></Error></ErrorResponse>"
)


class KeyServer(ThreadingHTTPServer):
    """Give one identity's keys to a task (GET), and another's to who assumes a role (POST)."""

    def __init__(self, task, role):
        super().__init__(("127.0.0.1", 0), KeyRequest)
        self.task, self.role = task, role
        self.assumed = []
        self.expires, self.refuses = LATER, False
        self.url = f"http://127.0.0.1:{self.server_port}"


class KeyRequest(BaseHTTPRequestHandler):
    def do_GET(self):
        access, secret = self.server.task
        keys = {"AccessKeyId": access, "SecretAccessKey": secret, "Token": "", "Expiration": LATER}
        self.answer("application/json", json.dumps(keys))

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.assumed.append(form | {"signed": [self.headers["Authorization"]]})
        access, secret = self.server.role
        if self.server.refuses:
            self.answer("text/xml", REFUSAL, status=403)
            return
        self.answer(
            "text/xml",
            "<AssumeRoleResponse><AssumeRoleResult><Credentials>"
            f"<AccessKeyId>{access}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>"
            f"<SessionToken></SessionToken><Expiration>{self.server.expires}</Expiration>"
            "</Credentials></AssumeRoleResult></AssumeRoleResponse>",
        )

    def answer(self, kind, body, status=200):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def key_server(servers, local_stack):
    """What gives the API's identity to this task, and the service's to the role."""
    api = local_stack.api_environment()
    server = KeyServer(
        (api["FACETAG_S3_ACCESS_KEY"], api["FACETAG_S3_SECRET_KEY"]),
        (servers.require("s3_access_key"), servers.require("s3_secret_key")),
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@pytest.fixture
def photo(servers):
    """A photo in a bucket that only the service's identity reads."""
    make_storage(servers).ensure_bucket()
    museum = make_storage(servers.model_copy(update={"s3_bucket": SOURCE}))
    museum.ensure_bucket()
    museum.put(KEY, PHOTO, "image/jpeg")


@pytest.fixture
def as_task(servers, key_server, monkeypatch):
    """Read the settings of a task that has a role and no keys."""
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{key_server.url}/task")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", "/nowhere")

    def read(**access):
        monkeypatch.setenv("FACETAG_S3_ENDPOINT_URL", servers.s3_endpoint_url)
        monkeypatch.setenv("FACETAG_S3_BUCKET", servers.s3_bucket)
        monkeypatch.setenv("FACETAG_SOURCE_BUCKETS", SOURCE)
        monkeypatch.setenv("FACETAG_SOURCE_ACCESS", json.dumps({SOURCE: access}))
        return make_storage(load_settings())

    return read


def test_without_keys_the_role_of_the_task_is_used(as_task, photo):
    storage = as_task()
    key = "tenants/local/images/role.jpg"
    storage.put(key, PHOTO, "image/jpeg")
    assert storage.exists(key)
    assert storage.fetch(storage.bucket, key, 100) == PHOTO
    with pytest.raises(ObjectRefused):
        storage.fetch(SOURCE, KEY, 100)


def test_a_source_bucket_is_read_by_the_role_that_it_names(as_task, photo, key_server):
    role = {"role_arn": ROLE, "external_id": "ours", "region": "eu-west-1"}
    storage = as_task(**role, sts_endpoint_url=key_server.url)
    assert key_server.assumed == [], "nothing connects before the first use"
    assert storage.fetch(SOURCE, KEY, 100) == PHOTO
    listed, _ = storage.list_prefix(SOURCE, "hall/", None)
    assert [item.key for item in listed] == [KEY]
    assert KEY in storage.presign_get(SOURCE, KEY)
    (asked,) = key_server.assumed
    assert (asked["RoleArn"], asked["ExternalId"]) == ([ROLE], ["ours"])
    assert key_server.task[0] in asked["signed"][0]
    assert "/eu-west-1/sts/" in asked["signed"][0]


def test_a_role_is_assumed_again_before_its_keys_expire(as_task, photo, key_server):
    soon = datetime.now(UTC) + timedelta(minutes=5)
    key_server.expires = soon.strftime("%Y-%m-%dT%H:%M:%SZ")
    storage = as_task(role_arn=ROLE, sts_endpoint_url=key_server.url)
    for _ in range(3):
        assert storage.fetch(SOURCE, KEY, 100) == PHOTO
    assert len(key_server.assumed) > 1


def test_a_role_that_may_not_be_assumed_refuses_its_bucket_alone(as_task, photo, key_server):
    key_server.refuses = True
    storage = as_task(role_arn=ROLE, sts_endpoint_url=key_server.url)
    with pytest.raises(ObjectRefused, match="the role that FACETAG_SOURCE_ACCESS names"):
        storage.fetch(SOURCE, KEY, 100)
    with pytest.raises(StorageUnavailable, match="the roles in FACETAG_SOURCE_ACCESS"):
        storage.list_prefix(SOURCE, "hall/", None)
    storage.put("tenants/local/images/role.jpg", PHOTO, "image/jpeg")
    storage.ping()


def test_a_source_bucket_has_keys_of_its_own(as_task, photo, key_server):
    access, secret = key_server.role
    assert as_task(access_key=access, secret_key=secret).fetch(SOURCE, KEY, 100) == PHOTO


def test_a_source_bucket_has_an_endpoint_of_its_own(as_task, photo):
    storage = as_task(endpoint_url="http://127.0.0.1:1")
    with pytest.raises(StorageUnavailable):
        storage.fetch(SOURCE, KEY, 100)
    assert storage.origin_of(SOURCE) == "http://127.0.0.1:1"
    storage.ping()
