"""Disks without room: small ones of memory, which root may mount."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from facetag.errors import DiskFull
from facetag.settings import Settings
from facetag.standalone.stack import LocalStack
from facetag_cli.composition.share_estimation import ShareEstimation
from facetag_cli.delivery.line_delivery import check_space, deliver
from facetag_cli.main import main
from facetag_trainer.disk_array import make_array

pytestmark = pytest.mark.integration

LINE = {
    "image": "a.jpg",
    "state": "no_face",
    "error": None,
    "model": "v",
    "width": 1,
    "height": 1,
    "faces": [],
}


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("only root may mount a small disk, and not in every container")
    yield disk
    subprocess.run(["umount", disk], check=True)


def write(output, count, report=None):
    options = {"format_": "jsonl", "title": "t", "find_photo": lambda _name: None}
    options["estimation"] = ShareEstimation(Settings())
    return deliver([LINE] * count, output=output, report=report, photos=count, **options)


def test_a_data_folder_without_room_is_refused_before_anything_starts(small_disk):
    stack = LocalStack(Settings(data_dir=small_disk / "data"))
    with pytest.raises(DiskFull, match=r"data is full: .* needs 400 MB, and 66 kB is free"):
        stack.start()
    assert not list(small_disk.iterdir())


def test_results_without_room_are_said_and_the_old_file_stays(small_disk):
    output = small_disk / "out.jsonl"
    output.write_text("old\n")
    with pytest.raises(DiskFull, match=r"out.jsonl is full: it needs about 1.5 MB, and"):
        write(output, 1000)
    assert output.read_text() == "old\n"
    assert list(small_disk.iterdir()) == [output]
    with pytest.raises(DiskFull, match=r"out.jsonl needs 1.5 MB"):
        check_space(output, None, 1000)
    write(output, 10)
    check_space(output, None, 10)
    assert output.read_text().count("\n") == 10


def test_a_report_without_room_is_said(small_disk, tmp_path):
    report = small_disk / "who.html"
    with pytest.raises(DiskFull, match=r"who.html needs 5.0 MB"):
        check_space(None, report, 1)
    (small_disk / "fill").write_bytes(bytes(60_000))
    with pytest.raises(DiskFull, match=r"who.html is full: it needs about .* is free"):
        write(tmp_path / "out.jsonl", 1, report)
    assert not report.exists()


@pytest.mark.parametrize("format_", ["fiftyone", "hf", "xmp"])
def test_an_export_without_room_is_said(small_disk, tmp_path, format_):
    (tmp_path / "a.jpg").touch()
    face = {"box": [0, 0, 1, 1], "confidence": 1.0, "age": None, "gender": None, "race": None}
    (tmp_path / "labels.jsonl").write_text(json.dumps(LINE | {"faces": [face]}) + "\n")
    (small_disk / "fill").write_bytes(bytes(2**16))
    options = ["--to", format_, "--photos", str(tmp_path), "--output", str(small_disk / "out")]
    run = CliRunner().invoke(main, ["export", str(tmp_path / "labels.jsonl"), *options])
    assert run.exit_code == 1
    (said,) = run.stderr.splitlines()
    assert f"The disk of {small_disk}/out is full: 0 kB is free. Make space, and give" in said


def test_a_crop_cache_without_room_is_said_before_any_face_is_cut_out(small_disk):
    # A memory map that grows on a full disk ends the process by a signal.
    with pytest.raises(DiskFull, match=r"crops.npy is full: it needs about 120 kB, and 66 kB is"):
        make_array(small_disk / "crops.npy", np.uint8, (3, 200, 200, 1))
    assert not list(small_disk.iterdir())
    array = make_array(small_disk / "crops.npy", np.uint8, (1, 200, 200, 1))
    array[:] = 7
    assert np.load(small_disk / "crops.npy").sum() == 7 * 200 * 200
    # An open map would keep the disk from being taken away.
    del array


FORMS = [("jsonl", 50_000), ("table", 2_000)]
WRITER = """
from facetag_cli.main import main
import click
from facetag.settings import Settings
from facetag_cli.composition.share_estimation import ShareEstimation
from facetag_cli.delivery.line_delivery import deliver
import facetag_cli.main

line = {line}

@click.command()
def write():
    deliver([line] * {count}, format_="{form}", output=None, report=None, title="t",
            find_photo=lambda name: None, estimation=ShareEstimation(Settings()))

facetag_cli.main.load_command = lambda entry: write
main(["tag"])
"""


@pytest.mark.parametrize(("form", "count"), FORMS)
def test_standard_output_without_room_is_said_in_one_line(form, count):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", WRITER.format(line=LINE, form=form, count=count)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: The disk of standard output is full")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("form", "count"), FORMS)
def test_a_closed_pipe_ends_quietly(form, count):
    command = [sys.executable, "-c", WRITER.format(line=LINE, form=form, count=count)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert writer.stdout.read(5)
    writer.stdout.close()
    assert writer.stderr.read() == ""
    # A table is written at once, perhaps before the pipe is closed.
    assert writer.wait(60) in ((1,) if form == "jsonl" else (0, 1))
    writer.stderr.close()
