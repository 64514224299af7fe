import hashlib
import json
import socket
import threading
from dataclasses import replace

import pytest

from facetag.client.api_client import ApiClient, Service
from facetag.errors import ErrorCode, StorageUnavailable
from facetag.image_formats import IMAGE_SUFFIXES
from facetag.inputs.photo_files import LocalPhoto, collect_photos
from facetag_api.schemas import FileToUpload
from facetag_cli.upload.form_poster import FormPoster
from facetag_cli.upload.hash_cache import HashCache
from facetag_cli.upload.uploader import BATCH, Content, NotSent, Sender, Uploader, key_suffix


def content_of(photo):
    return Content(hashlib.sha256(photo.path.read_bytes()).hexdigest(), photo.size, ".png")


@pytest.fixture
def upload(service):
    def run(photos, max_bytes=1000):
        seen = []
        with (
            ApiClient(Service(service.url), first_pause_s=0.01) as client,
            HashCache(None) as hashes,
        ):
            uploader = Uploader(client, hashes, max_bytes=max_bytes, first_pause_s=0.01)
            report = uploader.upload(photos, lambda count, size: seen.append((count, size)))
        return report, seen

    return run


def test_each_content_is_sent_once(service, upload, album):
    photos = collect_photos(album).photos
    report, _ = upload(photos)
    assert (report.sent, report.already, report.failed) == (4, 1, 0)
    assert len(service.made("POST", "/store")) == 4
    assert sorted(service.objects.values()) == [b"a face", b"a wall", b"another face", b"broken"]
    by_name = dict(zip((photo.name for photo in photos), report.outcomes, strict=True))
    assert by_name["b face.jpg"] == by_name["copy.JPG"]
    assert {service.objects[key] for key in report.outcomes} == set(service.objects.values())


def test_a_second_upload_sends_nothing(service, upload, album):
    photos = collect_photos(album).photos
    first, _ = upload(photos)
    second, _ = upload(photos)
    assert (second.sent, second.sent_bytes, second.already) == (0, 0, 5)
    assert second.outcomes == first.outcomes
    assert len(service.made("POST", "/store")) == 4


def test_an_upload_that_was_stopped_sends_the_rest(service, upload, album):
    photos = collect_photos(album).photos
    upload(photos[:2])
    report, _ = upload(photos)
    assert (report.sent, report.already) == (2, 3)


def test_a_content_that_was_met_before_is_not_asked_for_again(service, upload, album):
    photos = [collect_photos(album).photos[0]] * (BATCH + 1)
    report, _ = upload(photos)
    assert (report.sent, report.already) == (1, BATCH)
    assert len(service.made("POST", "/v1/uploads")) == 1


def test_photos_that_need_not_be_hashed_are_asked_for_in_few_requests(service, tmp_path):
    photos = []
    for number in range(2 * BATCH + 1):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(b"%d" % number)
        photos.append(LocalPhoto(path.name, path, size=path.stat().st_size))
    requests = []
    with ApiClient(Service(service.url)) as client, HashCache(tmp_path / "hashes") as hashes:
        for _ in range(2):
            before = len(service.made("POST", "/v1/uploads"))
            Uploader(client, hashes, max_bytes=1000).upload(photos, lambda *_: None)
            requests.append(len(service.made("POST", "/v1/uploads")) - before)
    assert requests == [3, 1]


def test_the_service_is_not_asked_for_photos_whose_key_is_known(service, album, tmp_path):
    old = LocalPhoto("a.png", album / "a.png", size=6)
    new = LocalPhoto("b face.jpg", album / "b face.jpg", size=6)
    with ApiClient(Service(service.url)) as client, HashCache(tmp_path / "hashes") as hashes:
        hashes.read([old])
        uploader = Uploader(
            client,
            hashes,
            max_bytes=1000,
            find_key=lambda photo, content: f"held/{content.file_name}"[:9],
        )
        report = uploader.upload([old, new], lambda *_: None)
    assert report.outcomes[0].startswith("held/")
    (asked,) = service.made("POST", "/v1/uploads")
    assert len(json.loads(asked)["files"]) == 1
    assert (report.sent, report.already) == (1, 1)


def test_the_next_photos_are_sent_while_the_last_of_a_batch_are_under_way(
    upload, album, monkeypatch
):
    photos = [photo for photo in collect_photos(album).photos if photo.name != "copy.JPG"]
    later = threading.Event()
    send = Sender.send

    def send_first_last(self, content, photo, form):
        if photo is not photos[0]:
            later.set()
        assert later.wait(30), "nothing else is sent until the first photo has arrived"
        return send(self, content, photo, form)

    monkeypatch.setattr("facetag_cli.upload.uploader.BATCH", 1)
    monkeypatch.setattr(Sender, "send", send_first_last)
    report, _ = upload(photos)
    assert (report.sent, report.failed) == (len(photos), 0)


def test_progress_counts_every_photo_and_byte_once(upload, album):
    photos = [*collect_photos(album).photos, LocalPhoto("x.jpg", album / "x.jpg", fault="Gone.")]
    _, seen = upload(photos)
    assert sum(count for count, _ in seen) == len(photos)
    assert sum(size for _, size in seen) == sum(photo.size for photo in photos)


def test_what_cannot_be_read_or_is_too_large_is_reported_and_not_sent(service, upload, album):
    gone = replace(collect_photos(album).photos[0], path=album / "gone.png", name="gone.png")
    photos = [LocalPhoto("pipe.jpg", album / "pipe.jpg", fault="This is a pipe."), gone]
    photos += [LocalPhoto("large.jpg", album / "c.webp", size=1001)]
    report, _ = upload(photos)
    assert [outcome.code for outcome in report.outcomes] == [
        ErrorCode.FILE_UNREADABLE,
        ErrorCode.FILE_UNREADABLE,
        ErrorCode.TOO_MANY_BYTES,
    ]
    assert "FACETAG_MAX_IMAGE_BYTES" in report.outcomes[2].message
    assert service.objects == {}


def test_a_stumbling_store_is_tried_again(service, upload, album):
    service.troubles["/store"] = [500, 503]
    report, _ = upload(collect_photos(album).photos[:1])
    assert (report.sent, report.failed) == (1, 0)


def test_a_form_that_ran_out_is_asked_for_again(service, upload, album):
    service.troubles["/store"] = [403]
    report, _ = upload(collect_photos(album).photos[:1])
    assert report.sent == 1
    assert len(service.made("POST", "/v1/uploads")) == 2


def test_a_photo_that_another_run_sent_before_its_form_ran_out_is_there(service, album):
    photo = collect_photos(album).photos[0]
    content = content_of(photo)
    with ApiClient(Service(service.url)) as client, FormPoster(1) as poster:
        (upload,) = client.request_uploads([content.as_wanted()])
        service.objects[upload["key"]] = photo.path.read_bytes()
        service.troubles["/store"] = [403]
        outcome = Sender(client, poster).send(content, photo, upload)
    assert outcome == upload["key"]
    assert len(service.made("POST", "/store")) == 1


def test_a_photo_that_the_store_refuses_does_not_stop_the_others(service, upload, album):
    service.troubles["/store"] = [400]
    report, _ = upload(collect_photos(album).photos)
    # Which of the four contents is refused is chance; one of them has two names.
    assert report.sent == 3
    assert report.failed in (1, 2)
    refused = [outcome for outcome in report.outcomes if isinstance(outcome, NotSent)]
    assert {outcome.code for outcome in refused} == {ErrorCode.UPLOAD_FAILED}
    assert "400" in refused[0].message


def test_a_store_that_is_away_ends_the_run_with_advice(service, album):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    photo = collect_photos(album).photos[0]
    post = {"url": f"http://127.0.0.1:{port}/", "fields": {}}
    upload = {"key": "k", "exists": False, "post": post}
    with ApiClient(Service(service.url)) as client, FormPoster(1) as poster:
        sender = Sender(client, poster, first_pause_s=0.01)
        with pytest.raises(StorageUnavailable, match="same command again"):
            sender.send(content_of(photo), photo, upload)


def test_a_photo_that_changes_meanwhile_does_not_get_the_key_of_what_it_was(service, album):
    photo = collect_photos(album).photos[0]
    content = content_of(photo)
    with ApiClient(Service(service.url)) as client, FormPoster(1) as poster:
        (upload,) = client.request_uploads([content.as_wanted()])
        photo.path.write_bytes(b"A WALL")
        outcome = Sender(client, poster).send(content, photo, upload)
    assert outcome.code == ErrorCode.FILE_UNREADABLE
    assert service.objects == {}


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.JPEG", ".jpg"),
        ("a.jfif", ".jpg"),
        ("a.TIFF", ".tif"),
        ("a.3fr", ".3fr"),
        ("a.old photo", ""),
    ],
)
def test_spellings_of_a_suffix_share_one_key(tmp_path, name, suffix):
    assert key_suffix(LocalPhoto(name, tmp_path / name)) == suffix


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES | {""}))
def test_the_api_accepts_the_content_type_of_every_photo(suffix):
    FileToUpload.model_validate(Content("0" * 64, 1, suffix).as_wanted())


def test_a_photo_that_the_service_refuses_keeps_no_other_from_being_sent(service, upload, album):
    service.max_bytes = 6
    (album / "again.heic").write_bytes(b"another face")
    photos = collect_photos(album).photos
    report, seen = upload(photos)
    by_name = dict(zip((photo.name for photo in photos), report.outcomes, strict=True))
    refusal = NotSent(ErrorCode.UPLOAD_FAILED, "The service refused the file: it is too large.")
    assert by_name["again.heic"] == by_name["älter/d.heic"] == refusal
    assert (report.sent, report.already, report.failed) == (3, 1, 2)
    assert sum(count for count, _ in seen) == len(photos)


def test_a_folder_of_photos_that_the_service_refuses_is_refused_photo_by_photo(
    service, upload, album
):
    service.max_bytes = 0
    report, _ = upload(collect_photos(album).photos)
    assert (report.sent, report.failed) == (0, 5)
