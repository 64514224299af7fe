import hashlib
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace

import httpx
import pytest
from sqlalchemy import text

from facetag.access.keys import Caller, Scope
from facetag.bundles.bundle_folder import read_manifest
from facetag.bundles.labelling_key import labelling_key
from facetag.erasure.retention import OrphanWalk, give_up_photos
from facetag.erasure.tombstones import bury, work_off
from facetag_api.dependencies import Desk
from facetag_api.routes.uploads import create_uploads
from facetag_api.schemas import UploadRequest
from tests.integration.api.test_reuse import label_all
from tests.integration.paper_bundles import write_paper_bundle

PHOTO = b"photo"


@pytest.fixture
def settings(settings, tmp_path):
    """A bucket of this test's own, since photos are told apart by their content alone."""
    folder = write_paper_bundle(tmp_path / "first", "v1")
    bucket = f"test-{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:20]}"
    return settings.model_copy(update={"bundle": folder, "s3_bucket": bucket})


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


def ask(api, *photos):
    wanted = {"files": [describe(photo) for photo in photos]}
    return api.post("/v1/uploads", json=wanted).json()["uploads"]


def post(api, key, **wish):
    return api.post("/v1/jobs", json={"images": [{"key": key, "name": "a"}], **wish}).json()


def promised(harness):
    with harness.transaction() as session:
        return set(session.scalars(text("SELECT key FROM upload_promises")))


def test_photos_of_an_old_upload_stay_once_a_client_was_told_of_them(api, harness, monkeypatch):
    (upload,) = ask(api, PHOTO)
    send(upload, PHOTO)
    monkeypatch.setattr("facetag.erasure.retention.UPLOAD_GRACE", timedelta(hours=-1))
    assert ask(api, PHOTO)[0]["exists"]
    assert OrphanWalk().step(harness.sessions, harness.storage) == 0
    assert harness.storage.exists(upload["key"])


def test_a_photo_is_not_given_up_just_after_a_client_was_told_of_it(api, harness, settings):
    (upload,) = ask(api, PHOTO)
    send(upload, PHOTO)
    post(api, upload["key"])
    label_all(harness, settings, labelling_key(read_manifest(settings.bundle), settings))
    assert ask(api, PHOTO)[0]["exists"]
    with harness.transaction() as session:
        session.execute(text("UPDATE jobs SET finished_at = now() - interval '61 minutes'"))
    assert give_up_photos(harness.sessions, bucket=harness.storage.bucket) == 1
    work_off(harness.sessions, harness.storage)
    assert post(api, upload["key"], store="photos")["state"] == "completed"
    assert harness.storage.exists(upload["key"])


def test_promises_are_written_for_photos_that_are_there_and_that_no_job_keeps(api, harness):
    kept, loose = ask(api, b"kept", b"loose")
    assert promised(harness) == set()
    for upload, photo in ((kept, b"kept"), (loose, b"loose")):
        send(upload, photo)
    post(api, kept["key"], store="photos")
    assert [upload["exists"] for upload in ask(api, b"kept", b"loose", b"new")] == [1, 1, 0]
    assert promised(harness) == {loose["key"]}


class Deleting:
    """Object storage; while a client is told of a photo, a deletion of it is on its way."""

    def __init__(self, harness):
        self.harness, self.storage = harness, harness.storage
        self.bucket, self.is_lenient = self.storage.bucket, self.storage.is_lenient
        self.begun, self.goes_on = threading.Event(), threading.Event()
        self.deletion = threading.Thread(target=work_off, args=(harness.sessions, self))

    def exists(self, key):
        found = self.storage.exists(key)
        if not self.begun.is_set():
            with self.harness.transaction() as session:
                bury(session, [key], tenant_id="local", job_id=uuid.uuid4())
            self.deletion.start()
            assert self.begun.wait(10)
            threading.Timer(0.5, self.goes_on.set).start()
        return found

    def delete(self, keys):
        self.begun.set()
        assert self.goes_on.wait(10)
        self.storage.delete(keys)


def test_a_photo_whose_deletion_is_on_its_way_is_to_be_sent(api, harness):
    (upload,) = ask(api, PHOTO)
    send(upload, PHOTO)
    storage = Deleting(harness)
    with ThreadPoolExecutor(1) as lookups:
        services = SimpleNamespace(
            settings=harness.settings,
            sessions=harness.sessions,
            storage=storage,
            presigner=harness.storage,
            lookups=lookups,
        )
        desk = Desk(services, Caller("a", "a", "local", Scope.JOBS))
        answer = create_uploads(UploadRequest(files=[describe(PHOTO)]), desk)
    storage.deletion.join()
    assert b'"exists":false' in answer.body
