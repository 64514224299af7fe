"""Each mistake that a person makes gets one plain line, which says what to do."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

MISTAKES = {
    "a wrong path": (["tag", "{tmp}/nowhere"], "no file or folder {tmp}/nowhere: check the path."),
    "a wrong suffix": (["tag", "{album}", "-o", "{tmp}/x.docx"], "Give one of .jsonl, .ndjson"),
    "a photo for a report": (
        ["report", "0", "-o", "{album}/a.png"],
        "give the file another suffix.",
    ),
    "a photo for labels": (
        ["tag", "{album}", "--format", "csv", "-o", "{album}/a.png"],
        "{album}/a.png is named as a photo",
    ),
    "a table for a report": (["tag", "{album}", "--report", "{tmp}/x.csv"], "ends in .html."),
    "a full disk": (["tag", "{album}", "--format", "csv", "-o", "/dev/full"], "kB. Make space"),
    "no service": (["jobs", "--data-dir", "{tmp}/none"], "Make one with `facetag tag FOLDER`"),
    "half a job's id": (["status", "ab"], "begins with ab. `facetag jobs` lists the jobs."),
    "half an id of two jobs": (["status", "0"], "Give more digits"),
    "an empty prefix": (["tag", "s3://museum/none/"], "check the bucket and the prefix."),
    "an unknown value": (["tag", "{album}", "--format", "xml"], "is not one of 'table', 'jsonl'"),
    "a table for a watch": (
        ["watch", "{album}", "-o", "{album}/notes.csv"],
        "{album}/notes.csv: lines of JSON are appended, so its name ends in .jsonl or .ndjson.",
    ),
    "own data for a watch": (
        ["watch", "{album}", "-o", "{album}/own.jsonl"],
        "{album}/own.jsonl ends with a line that is not of facetag's results: name another file.",
    ),
    "a long name": (
        ["tag", "{album}/" + 300 * "x"],
        300 * "x" + " is too long for a file: check the path.",
    ),
    "a long name for labels": (
        ["tag", "{album}", "-o", "{tmp}/" + 300 * "x" + ".csv"],
        "x.csv cannot be written: File name too long. Name a file elsewhere.",
    ),
    "a data folder with a long name": (
        ["down", "--data-dir", "{tmp}/" + 300 * "x"],
        "x cannot be used: File name too long. Give another with --data-dir",
    ),
    "a data folder in a file": (
        ["jobs", "--data-dir", "{album}/words.txt/data"],
        "words.txt/data cannot be used: Not a directory. Give another with --data-dir",
    ),
    "a long name for a job": (["compose", 300 * "x", "--require", "male>=0"], "x cannot be used: "),
    "an empty pattern": (["tag", "{album}", "--include", ""], "'' is no pattern: give one such as"),
    "half a pattern": (["tag", "{album}", "--include", "["], "'[' is no pattern: give one such as"),
    "a comment for a pattern": (["watch", "{album}", "--exclude", "#1/"], "'#1/' is no pattern"),
    "a percentage": (
        ["tag", "{album}", "--min-certainty", "80%"],
        "'--min-certainty': '80%' is not a number from 0 to 1. See",
    ),
    "words for a number": (
        ["tag", "{album}", "--min-face", "abc"],
        "'abc' is not a number above 0 and of at most 1. See",
    ),
    "a number out of its range": (["up", "--port", "0"], "is not a whole number from 1 to 65535."),
    "a slip in a level": (["api", "--log-level", "loud"], "is not one of 'debug', 'info'"),
    "a missing extra": (
        ["tag", "{album}", "-o", "{tmp}/out.parquet"],
        "pip install 'facetag[standard]'",
    ),
    "a file for a folder": (["watch", "{album}/a.png"], "is a file. Give a folder. See"),
    "a folder for a file": (["predict", "{album}"], "is a directory. Give a file. See"),
    "a wrong folder for labels": (
        ["tag", "{album}", "-o", "{tmp}/none/x.csv"],
        "{tmp}/none does not exist. Check the path. See",
    ),
    "a slip in a command": (["tga", "{album}"], "No such command 'tga'. Did you mean `tag`? See"),
    "a photo for results": (["export", "{album}/a.png", "--to", "coco"], "give a file that"),
    "no bucket": (["tag", "s3:///2019/"], "s3:///2019/ names no bucket"),
    "a list for a photo": (["tag", "{album}/words.txt"], "--files-from {album}/words.txt labels"),
    "a packed folder": (["tag", "{album}/all.tar.gz"], "is no photo: unpack it, and give the"),
    "no network": (["tag", "{album}"], "set FACETAG_API_URL to the address of a running"),
}
ELSEWHERE = {
    "no service": "",
    "a data folder in a file": "",
    "no network": "http://facetag.invalid",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_one_plain_line(facetag, service, album, tmp_path, monkeypatch, mistake):
    arguments, expected = MISTAKES[mistake]
    monkeypatch.setenv("FACETAG_API_URL", ELSEWHERE.get(mistake, service.url))
    for start in "01":
        service.jobs["0123456789abcdef" + start] = dict.fromkeys(("polls", "reused"), 0) | {
            "images": [],
            "name": "",
            "cancelled": False,
        }
    for name in ("words.txt", "all.tar.gz"):
        (album / name).write_bytes(b"no photo")
    (album / "own.jsonl").write_text('{"my": "data"}\n')
    if mistake == "a missing extra":
        monkeypatch.setitem(sys.modules, "pyarrow", None)
    places = {"album": album, "tmp": tmp_path}
    run = facetag(*(one.format(**places) for one in arguments))
    assert run.exit_code in (1, 2), run.output
    check(run.stderr, expected.format(**places))
    if mistake not in ("a full disk", "an empty prefix"):
        assert service.made("POST", "/v1/jobs") == []


def test_a_data_folder_that_cannot_be_made_gets_one_plain_line(
    facetag, album, tmp_path, monkeypatch
):
    monkeypatch.delenv("FACETAG_API_URL", raising=False)
    in_a_file = tmp_path / "file" / "data"
    in_a_file.parent.write_text("")
    run = facetag("tag", album, "--data-dir", in_a_file)
    assert run.exit_code == 1
    check(run.stderr, f"The data folder {in_a_file} cannot be used: Not a directory. Give another")


def check(said: str, expected: str) -> None:
    """Assert that the last line is the only error, and says what is expected."""
    last = said.splitlines()[-1]
    assert said.count("Error:") == 1
    assert last.startswith("Error: ")
    assert expected in last
    assert "Traceback" not in said


AS_NOBODY = """
import os, sys
from click.testing import CliRunner
from facetag_cli.main import main

# Imports all that the command needs: nobody may read no Python below /root.
assert CliRunner().invoke(main, ["tag", sys.argv[1], "--dry-run"]).exit_code == 0
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
main(["tag", sys.argv[2]])
"""


def test_a_closed_folder_gets_one_plain_line(album, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir()
    inside = closed / "inside"
    inside.mkdir()
    closed.chmod(0o000)
    # An ordinary user enters no folder of root's, where pytest keeps what tests write.
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if folder.owner() == closed.owner() and folder != Path("/tmp"):
            folder.chmod(0o755)
    refusals = {closed: "cannot be listed", inside: "cannot be reached"}
    for given, refusal in refusals.items():
        run = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, album, given],
            env={"HOME": str(tmp_path), "FACETAG_DATA_DIR": str(tmp_path / "data")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode in (1, 2), run.stderr
        check(run.stderr, f"{given} {refusal}: Permission denied. Give yourself the right")


@pytest.mark.parametrize("version", ["3.10.14", "3.14.1"])
def test_an_old_or_too_new_python_is_told_which_versions_work(tmp_path, version):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "Python {version}" || exit 1\n')
    python.chmod(0o755)
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    run = subprocess.run(
        ["make", "-s", "-C", tmp_path, ".venv/bin/python", f"PYTHON={python}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode
    assert "facetag needs Python 3.11, 3.12 or 3.13." in run.stderr
    assert f"is Python {version}" in run.stderr
    assert "make PYTHON=path" in run.stderr
