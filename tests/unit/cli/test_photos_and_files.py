"""What people give to `tag` and where they want its results, against a service without servers."""

import errno
import json
import os
import tarfile

import pyarrow.parquet as pq
import pytest

from facetag_cli.exports import result_files


def lines_of(text):
    return [json.loads(line) for line in text.splitlines()]


def names_of(run):
    return [line["image"] for line in lines_of(run.stdout)]


def tag_lines(facetag, *arguments, **more):
    return names_of(facetag("tag", *arguments, "--format", "jsonl", **more))


def test_folders_files_and_tars_may_be_given_together_and_names_are_as_given(facetag, album):
    other = album.parent / "other"
    other.mkdir()
    (other / "scan").write_bytes(b"a face without an extension")
    (other / "x.jpg").write_bytes(b"face x")
    with tarfile.open(other / "shard.tar", "w") as tar:
        tar.add(other / "x.jpg", "0001.jpg")
        tar.add(other / "x.jpg", "0001.json")
        for name, kind in (("0002.jpg", tarfile.LNKTYPE), ("0003.jpg", tarfile.SYMTYPE)):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, "0001.jpg"
            tar.addfile(link)
    found = tag_lines(facetag, album / "a.png", other / "scan", other / "shard.tar", other)
    assert found == sorted(
        [f"{album}/a.png", f"{other}/scan", f"{other}/shard.tar/0001.jpg", f"{other}/x.jpg"]
    )
    run = facetag("tag", other / "shard.tar", "--format", "jsonl")
    assert names_of(run) == ["0001.jpg"]
    assert "3 other files skipped (2 link, 1 .json)" in run.stderr


@pytest.mark.parametrize("end", ["\n", "\r\n", "\0"])
def test_a_list_on_standard_input_or_in_a_file_names_photos(facetag, album, tmp_path, end):
    gone = album / "gone.jpg"
    text = end.join([str(album / "a.png"), str(gone), ""])
    for given in (("-",), ("--files-from", "-")):
        assert tag_lines(facetag, *given, input=text) == [str(album / "a.png"), str(gone)]
    # Editors and shells of Windows begin a file with a mark, and may write UTF-16.
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "list.txt").write_text(text, newline="", encoding=encoding)
        run = facetag("tag", "--files-from", tmp_path / "list.txt", "--format", "jsonl")
        assert lines_of(run.stdout)[0]["image"] == str(album / "a.png")
        assert lines_of(run.stdout)[1]["error"]["code"] == "file_unreadable"


def test_a_damaged_list_is_refused(facetag, service):
    run = facetag("tag", "-", input=b"\xff\xfe/\0a")
    assert (run.exit_code, "write it as UTF-8" in run.stderr) == (1, True), run.output


def test_patterns_choose_photos_and_what_macos_and_a_nas_leave_is_skipped(facetag, album):
    for name in ("._a.png", "@eaDir/a.png/SYNO_THUMB.jpg", "a.png.json"):
        (album / name).parent.mkdir(parents=True, exist_ok=True)
        (album / name).write_bytes(b"no photo")
    run = facetag("tag", album, "--format", "jsonl", "--exclude", "älter/", "--exclude", "*.webp")
    assert names_of(run) == ["a.png", "b face.jpg", "copy.JPG"]
    assert "4 other files skipped" in run.stderr
    assert tag_lines(facetag, album, "--include", "*.heic") == ["älter/d.heic"]


def test_a_dry_run_sends_nothing_and_says_what_would_be_sent_and_labelled(facetag, service, album):
    run = facetag("tag", album, "--dry-run")
    assert run.exit_code == 0
    assert "4 would be sent; 0 are there already" in run.stderr
    assert "0 known, 5 to label" in run.stderr
    assert (service.jobs, service.made("POST", "/store")) == ({}, [])
    facetag("tag", album, "--exclude", "a.png")
    assert "4 known, 1 to label" in facetag("tag", album, "--dry-run").stderr
    assert "0 known, 5 to label" in facetag("tag", album, "--dry-run", "--fresh").stderr
    assert len(service.jobs) == 1


def test_a_dry_run_asks_for_what_the_run_would_ask_for(facetag, service, album):
    wish = ("--heads", "age", "--purpose", "an archive")
    for place in (album, "s3://museum/none/"):
        facetag("tag", place, "--dry-run", *wish)
    asked = [json.loads(body) for body in service.made("POST", "/v1/jobs/plan")]
    assert [(one["heads"], one["purpose"]) for one in asked] == [(["age"], "an archive")] * 2


def test_a_dry_run_where_nothing_is_kept_starts_no_service(facetag, album, tmp_path, monkeypatch):
    monkeypatch.delenv("FACETAG_API_URL")
    run = facetag("tag", album, "--dry-run")
    assert run.exit_code == 0
    assert "4 would be sent; no results are kept so far." in run.stderr
    assert not (tmp_path / "data").exists()


def test_parquet_and_html_are_written_to_their_files(facetag, album, tmp_path):
    assert facetag("tag", album, "-o", tmp_path / "out.parquet").exit_code == 3
    assert pq.read_table(tmp_path / "out.parquet")["state"].to_pylist().count("tagged") == 3
    assert facetag("tag", album, "-o", tmp_path / "out.html").stdout == ""
    assert "Who is in “album”" in (tmp_path / "out.html").read_text()


def test_a_fault_while_the_results_are_written_tells_how_to_fetch_them(
    facetag, service, album, tmp_path, monkeypatch
):
    def fail(*_, **__):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(result_files, "write_lines", fail)
    run = facetag("tag", album, "-o", tmp_path / "out.csv")
    assert run.exit_code == 1
    (job,) = service.jobs
    said = " ".join(run.stderr.split())
    assert "out.csv: Input/output error." in said
    assert f"facetag results {job[:8]}" in said
    assert list(tmp_path.glob("*out.csv*")) == []


MISTAKES = {
    "a path that is not there": (["{album}/nowhere"], "There is no file or folder"),
    "no path": ([], "Give a folder, a file, a tar, -, or --files-from LIST"),
    "an unknown suffix": (["{album}", "-o", "{tmp}/out.xlsx"], ".jsonl, .ndjson, .csv, .parquet"),
    "no suffix": (["{album}", "-o", "{tmp}/out"], "Give one of .jsonl"),
    "another format than the suffix": (
        ["{album}", "--format", "csv", "-o", "{tmp}/out.parquet"],
        "--format csv contradicts",
    ),
    "parquet on standard output": (
        ["{album}", "--format", "parquet"],
        "give --output FILE.parquet",
    ),
    "an unknown format": (["{album}", "--format", "xml"], "is not one of 'table', 'jsonl', 'csv'"),
    "a folder as the output": (["{album}", "-o", "{album}"], "is a directory"),
    "an output in no folder": (["{album}", "-o", "{tmp}/no/out.csv"], "does not exist"),
    "an output below a file": (["{album}", "-o", "{album}/a.png/out.csv"], "does not exist"),
    "an empty list": (["-"], "The list of paths is empty: give one path per line"),
    "a damaged tar": (["{tmp}/bad.tar"], "cannot be read as a tar"),
    "a folder without photos": (["{tmp}/empty"], "holds no photos (it is empty)"),
    "patterns that leave nothing": (
        ["{album}", "--include", "*.gif"],
        "5 that --include and --exclude leave out",
    ),
    "a prefix among folders": (["s3://museum/a", "{album}"], "must be given alone"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_one_plain_line_before_any_work(facetag, service, album, tmp_path, mistake):
    arguments, expected = MISTAKES[mistake]
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.tar").write_bytes(b"no tar")
    given = [one.format(album=album, tmp=tmp_path) for one in arguments]
    run = facetag("tag", *given)
    assert run.exit_code in (1, 2), run.output
    said = " ".join(run.stderr.split())
    assert expected in said
    assert said.count("Error:") == 1
    assert "Traceback" not in said
    assert service.requests == []


def test_a_bucket_that_is_not_allowed_names_the_setting(facetag, monkeypatch, tmp_path):
    monkeypatch.delenv("FACETAG_API_URL")
    run = facetag("tag", "s3://photos/holiday", "--data-dir", tmp_path)
    assert run.exit_code == 1
    assert "Set FACETAG_SOURCE_BUCKETS=photos" in " ".join(run.stderr.split())


def test_photos_of_an_allowed_bucket_are_tagged_where_they_lie(facetag, service, tmp_path):
    service.objects = {"s3://museum/1920s/a.jpg": b"face", "s3://museum/1930s/b.jpg": b"face"}
    run = facetag("tag", "s3://museum/1920s/", "-o", tmp_path / "out.jsonl")
    assert run.exit_code == 0, run.output
    assert [line["image"] for line in lines_of((tmp_path / "out.jsonl").read_text())] == [
        "s3://museum/1920s/a.jpg"
    ]
    assert service.made("POST", "/store") == []


def test_a_prefix_takes_the_options_of_folders(facetag, service):
    service.objects = {f"s3://museum/1920s/{name}.jpg": b"face" for name in "abc"}
    run = facetag("tag", "s3://museum/1920s/", "--dry-run")
    assert (run.exit_code, service.jobs) == (0, {})
    assert "3 photos below s3://museum/1920s/" in " ".join(run.stderr.split())
    assert "0 known, 3 to label" in run.stderr
    facetag("tag", "s3://museum/1920s/")
    assert "3 known, 0 to label" in facetag("tag", "s3://museum/1920s/", "--dry-run").stderr
    assert "3 known, 0 labelled" in facetag("tag", "s3://museum/1920s/").stderr
    assert "0 known, 3 labelled" in facetag("tag", "s3://museum/1920s/", "--fresh").stderr
    kept = len(service.jobs)
    facetag("tag", "s3://museum/1920s/", "--no-keep")
    assert len(service.jobs) == kept
    assert facetag("tag", "s3://museum/none/", "--dry-run").exit_code == 1


def test_a_prefix_below_which_nothing_lies_is_said(facetag):
    run = facetag("tag", "s3://museum/nothing/")
    assert run.exit_code == 1
    assert "No photos lie below s3://museum/nothing/" in " ".join(run.stderr.split())
