"""Attacks on forms and links to object storage: fields of one's own, foreign origins, reuse."""

import hashlib
import os

import httpx
import pytest

from facetag.erasure.tombstones import work_off
from facetag.jobs.queries import find_needed
from facetag.storage.client import make_storage
from tests.integration.worker.harness import png

pytestmark = pytest.mark.integration

UNSIGNED = {
    "acl": "public-read",
    "Cache-Control": "max-age=99999999",
    "Content-Disposition": 'attachment; filename="run.exe"',
    "Content-Encoding": "gzip",
    "Expires": "Thu, 01 Jan 2099 00:00:00 GMT",
    "redirect": "https://evil.example/",
    "success_action_redirect": "https://evil.example/",
    "success_action_status": "201",
    "x-amz-meta-note": "x",
    "x-amz-acl": "public-read",
    "x-amz-website-redirect-location": "https://evil.example/",
}
SIGNED = {
    "key": "tenants/other/images/aa/a.jpg",
    "Content-Type": "text/html",
    "x-amz-checksum-sha256": "AAAA",
    "policy": "e30=",
}


def new_photo():
    """Return a photo that no other test has stored."""
    return png() + os.urandom(8)


def ask_form(api, photo, content_type="image/png"):
    """Return an upload whose object is not there yet."""
    sha = hashlib.sha256(photo).hexdigest()
    file = {"sha256": sha, "size": len(photo), "content_type": content_type}
    (upload,) = api.post("/v1/uploads", json={"files": [file]}).json()["uploads"]
    return upload


def send(form, photo, *, fields=(), headers=None):
    return httpx.post(
        form["url"],
        data={**form["fields"], **dict(fields)},
        files={"file": photo},
        headers=headers or {},
        trust_env=False,
    )


def test_a_form_takes_no_field_that_is_not_signed(api, harness):
    photo = new_photo()
    upload = ask_form(api, photo)
    for name, value in {**UNSIGNED, **SIGNED}.items():
        assert send(upload["post"], photo, fields={name: value}).status_code >= 400, name
        assert not harness.storage.exists(upload["key"])
    assert send(upload["post"], photo).is_success


def test_a_page_of_another_origin_reads_nothing_of_object_storage(api, harness):
    photo = new_photo()
    upload = ask_form(api, photo)
    storage, bucket = harness.storage, harness.settings.s3_bucket
    evil = {"Origin": "https://evil.example"}
    answers = [send(upload["post"], photo, headers=evil)]
    link = storage.presign_get(bucket, upload["key"])
    plain = link.partition("?")[0]
    answers += [httpx.request(method, link, headers=evil) for method in ("GET", "HEAD")]
    answers += [httpx.request(method, plain, headers=evil) for method in ("GET", "PUT", "DELETE")]
    answers.append(httpx.get(plain.rpartition("/")[0], headers=evil))
    for answer in answers:
        assert "access-control-allow-origin" not in answer.headers, answer.request
    wanted = evil | {"Access-Control-Request-Method": "GET"}
    root = harness.settings.s3_endpoint_url
    for asked in (link, f"{root}/{bucket}/"):
        assert httpx.options(asked, headers=wanted).status_code == 403, asked
    # SeaweedFS lets any page send to these two, and -s3.allowedOrigins would have it panic at each
    # such question. It takes no cookie, so what a page sends is nobody's and is refused.
    for asked in (f"{root}/", f"{root}/{bucket}"):
        assert httpx.options(asked, headers=wanted).headers["access-control-allow-origin"] == "*"
        for method in ("GET", "PUT", "POST", "DELETE"):
            answer = httpx.request(method, asked, headers=evil | {"Cookie": "a=b"})
            assert answer.status_code >= 400, (method, asked)
    own = {"Origin": f"http://127.0.0.1:{harness.settings.api_port}"}
    allowed = httpx.get(link, headers=own)
    assert allowed.headers["access-control-allow-origin"] == own["Origin"]


def test_a_form_and_a_link_bring_nothing_back_after_a_deletion(api, harness, worker):
    photo = new_photo()
    upload = ask_form(api, photo)
    send(upload["post"], photo)
    worker()
    job = api.post("/v1/jobs", json={"images": [{"key": upload["key"]}]}).json()
    harness.wait_until_closed(job["id"])
    link = harness.storage.presign_get(harness.settings.s3_bucket, upload["key"])
    assert httpx.get(link).content == photo
    assert api.delete(f"/v1/jobs/{job['id']}").status_code == 202
    work_off(harness.sessions, harness.storage)
    assert httpx.get(link).status_code == 404
    # The form is valid for an hour: what it brings belongs to no job, and goes as an orphan.
    assert send(upload["post"], photo).is_success
    assert api.get(f"/v1/jobs/{job['id']}").status_code == 404
    with harness.transaction() as session:
        assert not find_needed(session, [upload["key"]], bucket=harness.storage.bucket)


def test_prefixes_are_no_patterns(harness):
    storage = make_storage(harness.settings)
    folder = "tenants/local/images/patterns/"
    for name in ("a_b.jpg", "axb.jpg", "A_b.jpg", "a%b.jpg"):
        storage.put(folder + name, b"x", "image/jpeg")
    for prefix, found in (("a_", ["a_b.jpg"]), ("a%", ["a%b.jpg"]), ("A", ["A_b.jpg"])):
        listed, _ = storage.list_prefix(storage.bucket, folder + prefix, None)
        assert [item.key.removeprefix(folder) for item in listed] == found, prefix
