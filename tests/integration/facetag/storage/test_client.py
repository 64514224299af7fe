import hashlib
import subprocess
import sys

import httpx
import pytest
from pydantic import SecretStr

from facetag.errors import (
    ErrorCode,
    ImageUnreadable,
    ObjectMissing,
    ObjectRefused,
    SettingsInvalid,
    StorageRefused,
    StorageUnavailable,
)
from facetag.storage.client import make_storage
from facetag.storage.object_keys import image_key

pytestmark = pytest.mark.integration

DATA = b"not really a photo, but bytes all the same"
SHA256 = hashlib.sha256(DATA).hexdigest()
KEY = image_key("local", SHA256, ".jpg")


@pytest.fixture
def post(storage):
    return storage.presign_post(KEY, size=len(DATA), content_type="image/jpeg", sha256=SHA256)


def send(post, data=DATA, **fields):
    """Send a form as a client does; returns the answer's status."""
    files = {"file": ("photo.jpg", data, "image/jpeg")}
    return httpx.post(post["url"], data={**post["fields"], **fields}, files=files).status_code


def test_a_presigned_form_stores_the_bytes_under_its_key(storage, post):
    assert not storage.exists(KEY)
    assert send(post) in (200, 204)
    assert storage.exists(KEY)
    assert storage.fetch(storage.bucket, KEY, max_bytes=1000) == DATA


@pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1, 0])
def test_a_presigned_form_refuses_another_size(storage, size):
    post = storage.presign_post(KEY, size=size, content_type="image/jpeg", sha256=SHA256)
    assert send(post) in (400, 403)
    assert not storage.exists(KEY)


def test_a_presigned_form_refuses_other_bytes_of_the_same_size(storage, post):
    assert send(post, DATA[::-1]) in (400, 403)
    assert not storage.exists(KEY)


def test_a_presigned_form_refuses_another_key(storage, post):
    other = image_key("another", SHA256, ".jpg")
    assert send(post, key=other) in (400, 403)
    assert not storage.exists(other)


def test_a_presigned_form_refuses_another_type(storage, post):
    assert send(post, **{"Content-Type": "text/html"}) in (400, 403)
    assert not storage.exists(KEY)


def test_a_presigned_form_refuses_a_forged_signature(storage, post):
    signature = post["fields"]["x-amz-signature"]
    forged = ("0" if signature[0] != "0" else "1") + signature[1:]
    assert send(post, **{"x-amz-signature": forged}) == 403
    assert not storage.exists(KEY)


def test_the_apis_page_may_post_a_form(storage, post):
    """What a browser asks before it posts from a page of another origin."""
    asked = {"Origin": "http://127.0.0.1:8000", "Access-Control-Request-Method": "POST"}
    answer = httpx.options(post["url"], headers=asked)
    assert answer.status_code in (200, 204)
    assert answer.headers["access-control-allow-origin"] in ("*", asked["Origin"])
    methods = answer.headers["access-control-allow-methods"]
    assert "POST" in methods or methods == "*"


@pytest.mark.parametrize(
    ("origin", "admitted"), [("http://127.0.0.1:8000", True), ("http://evil.example", False)]
)
def test_only_the_apis_page_may_read_how_its_form_was_taken(storage, post, origin, admitted):
    answer = httpx.post(
        post["url"],
        data=post["fields"],
        files={"file": ("photo", DATA)},
        headers={"Origin": origin},
    )
    assert answer.status_code in (200, 204)
    assert (answer.headers.get("access-control-allow-origin") == origin) is admitted


def test_what_is_not_there_is_missing_and_can_be_deleted(storage):
    with pytest.raises(ObjectMissing, match=r"gone\.jpg"):
        storage.fetch(storage.bucket, "gone.jpg", max_bytes=10)
    with pytest.raises(ObjectMissing):
        storage.fetch("no-such-bucket", "gone.jpg", max_bytes=10)
    with pytest.raises(ObjectMissing, match="no-such-bucket"):
        storage.list_prefix("no-such-bucket", "", None)
    storage.delete(["gone.jpg"])


def test_an_object_of_more_bytes_than_allowed_is_not_read(storage):
    storage.put("big.jpg", b"x" * 100, "image/jpeg")
    assert len(storage.fetch(storage.bucket, "big.jpg", max_bytes=100)) == 100
    with pytest.raises(ImageUnreadable) as caught:
        storage.fetch(storage.bucket, "big.jpg", max_bytes=99)
    assert caught.value.code == ErrorCode.TOO_MANY_BYTES


def test_an_object_of_any_size_is_read_in_chunks(storage):
    data = bytes(range(256)) * 4096 * 5
    storage.put("sets/large.tar", data, "application/x-tar")
    with storage.download(storage.bucket, "sets/large.tar") as download:
        chunks = list(download.chunks)
    assert b"".join(chunks) == data
    assert download.size == len(data)
    assert len(chunks) > 1


def test_the_etag_tells_one_content_from_another(storage):
    tags = []
    for data in (b"one", b"two", b"one"):
        storage.put("sets/a.tar", data, "application/x-tar")
        with storage.download(storage.bucket, "sets/a.tar") as download:
            tags.append(download.etag)
    assert tags[0] == tags[2] != tags[1]


def test_a_download_of_what_is_missing_or_refused_says_so(storage, servers):
    with pytest.raises(ObjectMissing, match=r"gone\.tar"):
        storage.download(storage.bucket, "gone.tar").__enter__()
    with pytest.raises(ObjectMissing, match="no-such-bucket"):
        storage.download("no-such-bucket", "gone.tar").__enter__()
    storage.put("sets/a.tar", b"one", "application/x-tar")
    wrong = make_storage(servers.model_copy(update={"s3_secret_key": SecretStr("wrong")}))
    with pytest.raises(ObjectRefused, match="FACETAG_S3_ACCESS_KEY"):
        wrong.download(storage.bucket, "sets/a.tar").__enter__()


def test_a_prefix_is_listed_page_by_page_each_key_once_and_in_order(storage):
    keys = sorted([f"in/{number:03}.jpg" for number in range(23)] + ["in/sub/é ü&+.jpg", "in/a b"])
    for key in [*keys, "inside.jpg", "other/x.jpg"]:
        storage.put(key, b"x", "image/jpeg")
    listed, cursor = [], None
    while True:
        page, cursor = storage.list_prefix(storage.bucket, "in/", cursor, limit=7)
        listed += page
        if cursor is None:
            break
    assert [one.key for one in listed] == keys
    assert {one.size for one in listed} == {1}
    assert all(one.etag for one in listed)


def test_an_empty_prefix_has_one_empty_page(storage):
    assert storage.list_prefix(storage.bucket, "nothing/", None) == ([], None)


def test_deleting_takes_more_keys_than_one_request_carries(storage):
    keys = [f"many/{number}" for number in range(1001)]
    for key in keys[:3] + keys[-3:]:
        storage.put(key, b"x", "image/jpeg")
    storage.delete(iter(keys))
    assert storage.list_prefix(storage.bucket, "many/", None) == ([], None)


def test_ping_tells_of_a_missing_bucket_and_the_bucket_is_made_once(servers):
    storage = make_storage(servers.model_copy(update={"s3_bucket": "not-made-yet"}))
    with pytest.raises(StorageUnavailable, match="facetag migrate"):
        storage.ping()
    storage.ensure_bucket()
    storage.put("kept", b"x", "text/plain")
    storage.ensure_bucket()
    storage.ping()
    assert storage.exists("kept")


def test_wrong_credentials_say_which_settings_to_check(servers):
    wrong = servers.model_copy(update={"s3_secret_key": SecretStr("wrong")})
    with pytest.raises(SettingsInvalid, match="FACETAG_S3_SECRET_KEY"):
        make_storage(wrong).ensure_bucket()
    for ask in (lambda s: s.delete(["x"]), lambda s: s.list_prefix(s.bucket, "", None)):
        with pytest.raises(StorageRefused, match=r"refuses.*FACETAG_S3_SECRET_KEY"):
            ask(make_storage(wrong))


def test_nothing_that_listens_is_storage_that_is_unavailable(servers):
    nowhere = servers.model_copy(update={"s3_endpoint_url": "http://127.0.0.1:9"})
    storage = make_storage(nowhere)
    for ask in (
        storage.ping,
        storage.ensure_bucket,
        lambda: storage.exists("x"),
        lambda: storage.fetch("b", "x", 1),
        lambda: storage.download("b", "x").__enter__(),
        lambda: storage.put("x", b"", "text/plain"),
        lambda: storage.delete(["x"]),
        lambda: storage.list_prefix("b", "", None),
    ):
        with pytest.raises(StorageUnavailable, match="FACETAG_S3_ENDPOINT_URL"):
            ask()


def test_forms_are_made_for_the_address_that_clients_reach(servers):
    public = servers.model_copy(update={"s3_public_endpoint_url": "https://photos.example"})
    arguments = {"size": 1, "content_type": "image/png", "sha256": SHA256}
    seen = make_storage(public, public=True).presign_post(KEY, **arguments)["url"]
    assert seen == f"https://photos.example/{servers.s3_bucket}"
    own = make_storage(public).presign_post(KEY, **arguments)["url"]
    assert own.startswith(servers.s3_endpoint_url)


def test_facetag_migrate_makes_tables_and_bucket(servers, empty_database):
    environment = {
        "FACETAG_DATABASE_URL": empty_database,
        "FACETAG_S3_ENDPOINT_URL": servers.s3_endpoint_url,
        "FACETAG_S3_BUCKET": "made-by-migrate",
        "FACETAG_S3_ACCESS_KEY": servers.require("s3_access_key"),
        "FACETAG_S3_SECRET_KEY": servers.require("s3_secret_key"),
    }
    command = [sys.executable, "-m", "facetag_cli.main", "migrate"]
    for _ in range(2):
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stderr) == (0, "")
    make_storage(servers.model_copy(update={"s3_bucket": "made-by-migrate"})).ping()
