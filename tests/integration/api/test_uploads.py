import hashlib

import httpx


def describe(data, suffix=".jpg"):
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "suffix": suffix,
        "content_type": "image/jpeg",
    }


def send(upload, data):
    post = upload["post"]
    return httpx.post(
        post["url"], data=post["fields"], files={"file": ("file", data)}, trust_env=False
    )


def test_a_second_run_is_told_to_send_nothing(api, harness):
    photos = [b"one", b"two", b""]
    wanted = {"files": [describe(photo) for photo in photos]}
    first = api.post("/v1/uploads", json=wanted).json()["uploads"]
    assert [upload["exists"] for upload in first] == [False] * 3
    for upload, photo in zip(first, photos, strict=True):
        assert send(upload, photo).is_success
        assert upload["key"].startswith("tenants/local/images/")
        assert harness.storage.fetch(harness.settings.s3_bucket, upload["key"], 100) == photo
    second = api.post("/v1/uploads", json=wanted).json()["uploads"]
    assert [upload["key"] for upload in second] == [upload["key"] for upload in first]
    assert [(upload["exists"], upload["post"]) for upload in second] == [(True, None)] * 3


def test_a_form_takes_no_other_size(api):
    (upload,) = api.post("/v1/uploads", json={"files": [describe(b"four")]}).json()["uploads"]
    assert send(upload, b"longer than said").is_error


def test_a_thousand_files_are_answered_in_their_order(api):
    photos = [str(i).encode() for i in range(999)]
    files = [describe(photo) for photo in [*photos, photos[0]]]
    uploads = api.post("/v1/uploads", json={"files": files}).json()["uploads"]
    assert [upload["key"].rsplit("/", 1)[1] for upload in uploads] == [
        f"{file['sha256']}.jpg" for file in files
    ]
    assert api.post("/v1/uploads", json={"files": [*files, files[0]]}).status_code == 422


def test_capital_letters_make_no_second_copy(api):
    file = describe(b"one")
    shouting = file | {"sha256": file["sha256"].upper(), "suffix": ".JPG"}
    uploads = api.post("/v1/uploads", json={"files": [file, shouting]}).json()["uploads"]
    assert uploads[0]["key"] == uploads[1]["key"]
