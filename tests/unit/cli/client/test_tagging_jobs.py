import pytest

from facetag.client.api_client import ApiClient, Service
from facetag.client.result_stream import stream_lines
from facetag.errors import ErrorCode, FacetagError
from facetag.inputs.photo_files import LocalPhoto
from facetag.results.name_escapes import MAX_NAME, unescape_name
from facetag_cli.client.tagging_jobs import (
    merge_lines,
    name_in_job,
    plan_jobs,
    split_images,
    start_job,
)
from facetag_cli.upload.uploader import NotSent, UploadReport


def photos_of(tmp_path, *names):
    return [LocalPhoto(name, tmp_path / name) for name in names]


def test_no_path_of_linux_is_cut_in_its_job():
    path = "/".join(["\udce9" * 255] * 16)[:4096]
    assert unescape_name(name_in_job(path)) == path


def test_photos_that_were_not_sent_are_in_no_job(tmp_path):
    photos = photos_of(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    outcomes = ["k1", NotSent(ErrorCode.FILE_UNREADABLE, "Gone."), "k3"]
    assert plan_jobs(photos, outcomes, max_images=9) == [
        [{"key": "k1", "name": "a.jpg"}, {"key": "k3", "name": "c.jpg"}]
    ]
    assert plan_jobs(photos[1:2], outcomes[1:2], max_images=9) == []


def test_a_long_name_keeps_its_end(tmp_path):
    photos = photos_of(tmp_path, "d/" * MAX_NAME + "a.jpg")
    ((image,),) = plan_jobs(photos, ["k"], max_images=9)
    assert len(image["name"]) == MAX_NAME
    assert image["name"].endswith("/a.jpg")


def test_jobs_are_split_by_number_and_by_bytes():
    images = [{"key": "k" * 60, "name": f"{index}"} for index in range(10)]
    by_number = list(split_images(images, max_images=4))
    assert [len(part) for part in by_number] == [4, 4, 2]
    by_bytes = list(split_images(images, max_images=99, max_bytes=300))
    assert [len(part) for part in by_bytes] == [3, 3, 3, 1]
    assert [image for part in by_bytes for image in part] == images


def test_a_photo_larger_than_a_request_still_goes_alone():
    images = [{"key": "k" * 600, "name": "a"}] * 2
    assert [len(part) for part in split_images(images, max_images=9, max_bytes=100)] == [1, 1]


def test_lines_of_sent_and_unsent_photos_come_in_the_photos_order(service, tmp_path):
    long_name = "d/" * MAX_NAME + "c.jpg"
    photos = photos_of(tmp_path, "a.jpg", "b.jpg", long_name)
    service.objects |= {"k1": b"face", "k3": b"wall"}
    report = UploadReport(["k1", NotSent(ErrorCode.FILE_UNREADABLE, "Gone."), "k3"])
    with ApiClient(Service(service.url)) as client:
        jobs = [
            start_job(client, images, name="album")
            for images in plan_jobs(photos, report.outcomes, max_images=1)
        ]
        lines = list(merge_lines(stream_lines(client, [job["id"] for job in jobs]), photos, report))
    assert [(line["image"], line["state"]) for line in lines] == [
        ("a.jpg", "tagged"),
        ("b.jpg", "failed"),
        (long_name, "no_face"),
    ]
    assert lines[1] == {
        "image": "b.jpg",
        "state": "failed",
        "error": {"code": "file_unreadable", "message": "Gone."},
        "model": None,
        "width": None,
        "height": None,
        "faces": [],
    }


@pytest.mark.parametrize("first", ["caf\udce9.jpg", "d/" * MAX_NAME + "a.jpg"])
def test_a_duplicate_names_the_first_photo_as_its_own_line_does(tmp_path, first):
    photos = photos_of(tmp_path, first, "z.jpg")
    lines = [
        {"image": name_in_job(first), "state": "tagged"},
        {"image": "z.jpg", "state": "tagged", "duplicate_of": name_in_job(first)},
    ]
    _, second = merge_lines(iter(lines), photos, UploadReport(["k", "k"]))
    assert second == {"image": "z.jpg", "state": "tagged", "duplicate_of": first}


def test_results_that_end_too_early_are_a_fault(service, tmp_path):
    photos = photos_of(tmp_path, "a.jpg", "b.jpg")
    service.objects["k"] = b"face"
    with ApiClient(Service(service.url)) as client:
        job = start_job(client, [{"key": "k", "name": "a.jpg"}], name="album")
        with pytest.raises(FacetagError, match="fewer results"):
            list(merge_lines(stream_lines(client, [job["id"]]), photos, UploadReport(["k", "k"])))


@pytest.mark.parametrize("purged", [0, 1, 2, 3])
def test_the_results_of_a_job_that_lost_a_photo_are_not_given_to_others(tmp_path, purged):
    names = ["caf\udce9.jpg", "d/" * MAX_NAME + "b.jpg", r"c\xe9.jpg", "d.jpg"]
    photos = photos_of(tmp_path, "away.jpg", *names)
    report = UploadReport([NotSent(ErrorCode.FILE_UNREADABLE, "Gone."), *"klmn"])
    lines = [{"image": name_in_job(name), "state": "tagged"} for name in names]
    merged = list(merge_lines(iter(lines), photos, report))
    assert [line["image"] for line in merged] == ["away.jpg", *names]
    del lines[purged]
    given = []
    with pytest.raises(FacetagError, match="Run the command again"):
        given.extend(merge_lines(iter(lines), photos, report))
    assert [line["image"] for line in given] == ["away.jpg", *names[:purged]]


def test_the_name_of_a_job_is_cut_and_cleaned(service):
    service.objects["k"] = b"face"
    with ApiClient(Service(service.url)) as client:
        job = start_job(client, [{"key": "k", "name": "a"}], name="caf\udce9\0" + "x" * 300)
    assert job["name"].startswith("caf?x")
    assert len(job["name"]) == 200
