"""The subcommands as a user types them, against a service without servers."""

import json
import os
import uuid
from pathlib import Path

import pytest

NAMES = ["a.png", "b face.jpg", "c.webp", "copy.JPG", "älter/d.heic"]
STATES = ["no_face", "tagged", "failed", "tagged", "tagged"]


def lines_of(text):
    return [json.loads(line) for line in text.splitlines()]


def test_tag_gives_a_line_for_each_photo_in_order_and_status_3(facetag, album):
    run = facetag("tag", album, "--format", "jsonl")
    assert run.exit_code == 3
    lines = lines_of(run.stdout)
    assert [line["image"] for line in lines] == NAMES
    assert [line["state"] for line in lines] == STATES
    assert lines[2]["error"]["code"] == "truncated"


def test_tag_cannot_tell_a_service_that_runs_which_faces_to_look_for(facetag, album):
    run = facetag("tag", album, "--min-face", "0.01")
    assert run.exit_code == 2
    assert "Give --min-face to `facetag up`" in " ".join(run.stderr.split())


def test_tag_ends_with_0_when_every_photo_could_be_read(facetag, album):
    (album / "c.webp").unlink()
    assert facetag("tag", album).exit_code == 0


def test_tag_says_on_standard_error_what_became_of_the_photos(facetag, album):
    run = facetag("tag", album, "--format", "csv")
    assert run.stdout.startswith("image,state,")
    assert "5 photos: 3 tagged, 1 without a face, 1 failed; 3 faces; 1 other file skipped" in (
        run.stderr
    )
    assert "Sent 4 photos" in run.stderr
    assert "1 already there" in run.stderr
    assert "truncated: c.webp" in run.stderr


def test_a_second_tag_sends_nothing(facetag, service, album):
    facetag("tag", album)
    run = facetag("tag", album)
    assert "Sent 0 photos (0 bytes); 5 already there." in run.stderr
    assert len(service.made("POST", "/store")) == 4


def test_tag_says_which_lines_the_service_cannot_give_again(facetag, album):
    words = "could not be read or sent: the lines of such photos are in this output alone."
    assert words not in facetag("tag", album).stderr
    (album / "gone.jpg").symlink_to(album / "nowhere")
    run = facetag("tag", album, "--format", "jsonl")
    assert f"1 photo {words}" in run.stderr
    assert "gone.jpg" in run.stdout
    assert "gone.jpg" not in facetag("results", "latest", "--format", "jsonl").stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to other users")
@pytest.mark.parametrize("command", [["tag"], ["upload"]])
def test_a_folder_that_is_not_searched_is_counted_at_the_end_with_status_3(
    facetag, album, tmp_path, command
):
    (album / "c.webp").unlink()
    (tmp_path / "theirs").mkdir()
    (album / "link").symlink_to(tmp_path / "theirs")
    assert facetag(*command, album).exit_code == 0
    os.lchown(album / "link", 12345, 12345)
    run = facetag(*command, album)
    assert run.exit_code == 3
    assert "1 link of other users not followed: give the folders themselves." in run.stderr


def test_quiet_leaves_standard_error_empty(facetag, album):
    run = facetag("tag", album, "--quiet")
    assert run.stderr == ""
    assert len(run.stdout.splitlines()) == 6


def test_the_table_is_what_tag_prints_by_default(facetag, album):
    rows = facetag("tag", album).stdout.splitlines()
    assert rows[0].split()[:3] == ["Photo", "State", "Faces"]
    assert "31 female asian" in rows[2]


def test_the_output_file_decides_the_format_and_standard_output_stays_empty(facetag, album):
    output = album.parent / "out.jsonl"
    run = facetag("tag", album, "--output", output)
    assert run.stdout == ""
    assert [line["image"] for line in lines_of(output.read_text())] == NAMES


def test_photos_that_cannot_be_sent_get_their_lines(facetag, album, monkeypatch):
    (album / "gone.jpg").symlink_to(album / "nowhere")
    (album / "large.jpg").write_bytes(b"x" * 200)
    monkeypatch.setenv("FACETAG_MAX_IMAGE_BYTES", "100")
    run = facetag("tag", album, "--format", "jsonl")
    codes = {line["image"]: (line["error"] or {}).get("code") for line in lines_of(run.stdout)}
    assert run.exit_code == 3
    assert codes["gone.jpg"] == "file_unreadable"
    assert codes["large.jpg"] == "too_many_bytes"
    assert codes["b face.jpg"] is None
    assert list(codes) == sorted(codes)


def test_a_folder_with_nothing_that_can_be_sent_still_gets_its_lines(facetag, service, tmp_path):
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "gone.jpg").symlink_to("nowhere")
    run = facetag("tag", tmp_path / "album", "--format", "jsonl")
    assert run.exit_code == 3
    assert [line["image"] for line in lines_of(run.stdout)] == ["gone.jpg"]
    assert service.jobs == {}


def test_a_name_that_is_no_utf8_is_no_obstacle(facetag, album):
    (album / os.fsdecode(b"caf\xe9 face.jpg")).write_bytes(b"a face of its own")
    run = facetag("tag", album, "--format", "jsonl")
    line = next(line for line in lines_of(run.stdout) if line["image"].startswith("caf"))
    assert (line["image"], line["state"]) == ("caf\udce9 face.jpg", "tagged")


def test_a_folder_whose_name_is_no_utf8_is_no_obstacle(facetag, tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"face")
    page = tmp_path / "page.html"
    assert facetag("tag", folder, "--report", page).exit_code == 0
    assert "Who is in “caf\ufffd”" in page.read_text(encoding="utf-8")


def test_a_folder_without_photos_is_a_wrong_argument(facetag, tmp_path):
    (tmp_path / "empty").mkdir()
    run = facetag("tag", tmp_path / "empty")
    assert run.exit_code == 2
    assert "holds no photos" in run.stderr


@pytest.mark.parametrize("option", ["--output", "--report"])
def test_a_file_in_a_folder_that_is_not_there_is_refused_before_the_work(
    facetag, service, album, option
):
    run = facetag("tag", album, option, album / "nowhere" / "file")
    assert run.exit_code == 2
    assert "does not exist" in run.stderr
    assert service.requests == []


def test_no_keep_deletes_the_job(facetag, service, album):
    run = facetag("tag", album, "--no-keep")
    assert service.jobs == {}
    assert "Deleted" in run.stderr


def test_tag_writes_the_report(facetag, album):
    page = album.parent / "page.html"
    facetag("tag", album, "--report", page)
    text = page.read_text()
    assert "Who is in “album”" in text
    assert "c.webp" in text


def test_a_service_that_does_not_answer_is_one_line(facetag, album, monkeypatch):
    monkeypatch.setenv("FACETAG_API_URL", "http://127.0.0.1:9")
    run = facetag("status", uuid.uuid4())
    assert run.exit_code == 1
    assert run.stderr.count("\n") == 1
    assert "facetag up" in run.stderr


def test_without_any_service_the_way_to_start_one_is_told(facetag, monkeypatch):
    monkeypatch.delenv("FACETAG_API_URL")
    run = facetag("status", uuid.uuid4())
    assert run.exit_code == 1
    assert "facetag up" in run.stderr


def test_a_wrong_setting_is_named(facetag, monkeypatch):
    monkeypatch.setenv("FACETAG_MAX_IMAGE_BYTES", "lots")
    run = facetag("status", uuid.uuid4())
    assert run.exit_code == 1
    assert "FACETAG_MAX_IMAGE_BYTES" in run.stderr


def test_upload_prints_the_job_that_the_other_commands_take(facetag, service, album):
    service.polls_until_done = 2
    run = facetag("upload", album, "--quiet")
    assert run.exit_code == 0
    job = run.stdout.strip()
    assert list(service.jobs) == [job]
    assert service.jobs[job]["name"] == "album"
    assert "queued" in facetag("status", job).stdout
    watched = facetag("status", job, "--watch")
    assert watched.exit_code == 3
    assert "5 of 5 photos finished: 3 tagged, 1 no face, 1 failed" in watched.stdout
    found = facetag("results", job, "--format", "jsonl")
    assert found.exit_code == 0
    assert [line["image"] for line in lines_of(found.stdout)] == NAMES


def test_upload_tells_what_is_known(facetag, album):
    assert "5 photos: 0 known, 5 to label." in facetag("upload", album).stderr


def test_upload_without_a_job_only_sends(facetag, service, album):
    run = facetag("upload", album, "--no-tag")
    assert (run.exit_code, run.stdout) == (0, "")
    assert len(service.objects) == 4
    assert service.jobs == {}


def test_upload_lists_what_was_not_sent_with_the_reason(facetag, album):
    (album / "gone.jpg").symlink_to(album / "nowhere")
    run = facetag("upload", album)
    assert run.exit_code == 3
    assert "1 photo not sent:\n  gone.jpg: The file cannot be read: No such file" in run.stderr


def test_results_of_a_job_that_runs_say_so(facetag, service, album):
    service.polls_until_done = 9
    job = facetag("upload", album, "--quiet").stdout.strip()
    run = facetag("results", job)
    assert "not finished" in run.stderr
    assert run.exit_code == 0


@pytest.mark.parametrize("command", ["report", "results"])
@pytest.mark.parametrize(
    ("place", "fetches"), [("where it was", 0), ("in storage", 1), ("moved", 0)]
)
def test_a_report_of_a_job_shows_its_photos_wherever_they_are_now(
    facetag, service, tmp_path, place, fetches, command
):
    from PIL import Image

    album, page, moved = (tmp_path / name for name in ("album", "page.html", "moved"))
    album.mkdir()
    photo = album / "a.png"
    Image.new("RGB", (100, 80)).save(photo)
    photo.write_bytes(photo.read_bytes() + b"face")
    # Files that changed just now are not remembered.
    os.utime(photo, (1e9, 1e9))
    facetag("upload", album)
    if place != "where it was":
        album.rename(moved)
    options = ["--photos", moved] if place == "moved" else []
    run = facetag(command, "latest", "--output", page, *options)
    assert run.exit_code == 0, run.output
    assert run.stdout == ""
    assert "data:image/jpeg" in page.read_text()
    (key,) = service.objects
    assert len(service.made("GET", f"/tenants/local/{key}")) == fetches


def test_jobs_are_listed_and_found_by_a_part_of_their_id_or_as_the_latest(facetag, service, album):
    for _ in range(3):
        facetag("upload", album)
    first, second, third = service.jobs
    rows = facetag("jobs").stdout.splitlines()
    assert [row.split()[0] for row in rows[1:]] == [third[:8], second[:8], first[:8]]
    assert rows[1].split()[1:4] == ["album", "queued", "5"]
    assert len(facetag("jobs", "--limit", "1").stdout.splitlines()) == 2
    newest, *_ = json.loads(facetag("jobs", "--format", "json").stdout)
    assert newest["id"] == third
    assert second in facetag("status", second[:8].upper()).stdout
    assert third in facetag("status", "latest").stdout


def test_a_part_of_an_id_that_fits_several_jobs_or_none_names_what_there_is(facetag, service):
    for last in "12":
        job_id = f"0d5c1c9e-6b0a-4f3e-9a55-2f1f6f0c7b1{last}"
        service.jobs[job_id] = {
            "images": [],
            "name": f"album {last}",
            "polls": 0,
            "cancelled": False,
            "reused": 0,
        }
    run = facetag("results", "0d5")
    assert run.exit_code == 1
    assert "Several jobs begin with 0d5" in run.stderr
    for last in "12":
        assert f"0d5c1c9e-6b0a-4f3e-9a55-2f1f6f0c7b1{last} (album {last})" in run.stderr
    assert "`facetag jobs` lists the jobs" in facetag("results", "77").stderr
    assert "is not a job: give its id" in facetag("compose", "holiday").stderr
    assert facetag("status", "0d5c1c9e-6b0a-4f3e-9a55-2f1f6f0c7b12").exit_code == 0


def test_without_jobs_the_way_to_make_one_is_told(facetag):
    assert "facetag tag FOLDER" in facetag("jobs").stdout
    assert "facetag tag FOLDER" in facetag("results", "latest").stderr


def test_a_cancelled_job_is_resumed_and_a_finished_one_is_refused(facetag, service, album):
    service.polls_until_done = 2
    job = facetag("upload", album, "--quiet").stdout.strip()
    facetag("cancel", job)
    facetag("status", job)
    run = facetag("resume", "latest")
    assert run.exit_code == 0, run.output
    assert len(service.made("POST", f"/v1/jobs/{job}/resume")) == 1
    assert "completed with errors" in run.stdout
    run = facetag("resume", job)
    assert run.exit_code == 2
    assert "nothing to resume" in run.stderr


def test_tag_tells_what_is_known_and_how_to_see_it_again(facetag, service, album):
    run = facetag("tag", album)
    (job,) = service.jobs
    assert f"Job {job[:8]}: 5 photos: 0 known, 5 to label." in run.stderr
    assert f"`facetag results {job[:8]}`, `facetag report {job[:8]}`" in run.stderr
    facetag("tag", album, "--fresh")
    bodies = [json.loads(body) for body in service.made("POST", "/v1/jobs")]
    assert [body.get("reuse") for body in bodies] == [None, False]


def test_tag_ends_the_job_that_a_killed_run_on_the_folder_left_before_it_makes_its_own(
    facetag, service, album
):
    from facetag.settings import load_settings
    from facetag_cli.client.unfinished_jobs import UnfinishedJob, UnfinishedJobs, unfinished_path

    service.polls_until_done = 3
    left, other, runs = (facetag("upload", album, "--quiet").stdout.strip() for _ in range(3))
    notes = UnfinishedJobs(unfinished_path(load_settings()))
    notes.add(left, UnfinishedJob("another digest", str(album), "1:1"))
    notes.add(other, UnfinishedJob("another digest", "/another folder", "1:1"))
    notes.add(runs, UnfinishedJob("another digest", str(album), "1:1:boot:another machine"))
    run = facetag("tag", album)
    assert f"Cancelled job {left}" in run.stderr
    cancelled = [service.jobs[job]["cancelled"] for job in (left, other, runs)]
    assert cancelled == [True, False, False]
    made = [(method, path) for method, path, _ in service.requests]
    begun = made.index(("POST", f"/v1/jobs/{left}/cancel"))
    # It has ended before the new job is made.
    assert made[begun:].count(("GET", f"/v1/jobs/{left}")) >= 2
    assert set(notes.read()) == {other, runs}


def test_cancel_and_retry_show_the_job(facetag, service, album):
    service.polls_until_done = 9
    job = facetag("upload", album, "--quiet").stdout.strip()
    assert "cancelled" in facetag("cancel", job).stdout
    assert facetag("retry", job, "--only", "failed").exit_code == 0
    assert json.loads(service.made("POST", f"/v1/jobs/{job}/retry")[0]) == {"only": "failed"}


def test_retag_labels_again_as_a_new_job_and_compares(facetag, service, album):
    job = facetag("upload", album, "--quiet").stdout.strip()
    facetag("status", job, "--watch")
    run = facetag("retag", job)
    assert run.exit_code == 3
    assert len(service.jobs) == 2
    assert "5 photos, labelled by net-1 before and by net-1 now: 0 changed" in run.stdout
    assert "gender changed for 0 of 3 faces (0.0%)" in run.stdout
    # People may have rejected faces of the old job, which its lines lack.
    assert service.made("GET", f"/v1/jobs/{job}/images")


def test_what_is_no_job_is_a_wrong_argument_and_what_is_not_there_an_error(facetag):
    run = facetag("status", "holiday")
    assert run.exit_code == 2
    assert "`facetag jobs` lists them" in run.stderr
    run = facetag("results", uuid.uuid4())
    assert run.exit_code == 1
    assert "No such job" in run.stderr


def test_predict_prints_one_photo(facetag, service, album):
    run = facetag("predict", album / "b face.jpg", "--format", "json")
    assert run.exit_code == 0
    assert json.loads(run.stdout)["image"] == "b face.jpg"
    assert b"a face" in service.made("POST", "/v1/predict")[0]
    assert "31 (26 to 37)" in facetag("predict", album / "b face.jpg").stdout


def test_predict_refuses_a_file_that_is_too_large(facetag, album, monkeypatch):
    monkeypatch.setenv("FACETAG_MAX_IMAGE_BYTES", "3")
    run = facetag("predict", album / "a.png")
    assert run.exit_code == 1
    assert "FACETAG_MAX_IMAGE_BYTES" in run.stderr


def test_nothing_is_written_outside_the_given_folders(facetag, album, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    facetag("tag", album)
    assert not Path(tmp_path / "home").exists()


def test_heads_and_purpose_reach_the_job_and_its_csv(facetag, service, album):
    run = facetag("tag", album, "--heads", "race,age", "--purpose", "audit", "--format", "csv")
    (job,) = service.jobs.values()
    assert job["wish"] == {"heads": ["age", "race"], "purpose": "audit", "store": "photos"}
    header = run.stdout.partition("\n")[0]
    assert "race_white" in header
    assert "gender" not in header
    assert "none" in facetag("tag", album, "--heads", "faith").stderr


def test_a_job_that_keeps_counts_is_made_by_upload(facetag, service, album):
    facetag("upload", album, "--counts-only", "--heads", "none")
    (job,) = service.jobs.values()
    assert job["wish"] == {"heads": [], "store": "aggregate"}


def test_names_of_a_csv_are_safe_for_spreadsheets_unless_raw(facetag, album):
    (album / "a.png").rename(album / "=1+1.png")
    assert "\n\\x3d1+1.png," in facetag("tag", album, "--format", "csv").stdout
    assert "\n=1+1.png," in facetag("tag", album, "--format", "csv", "--raw").stdout
