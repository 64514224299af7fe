import json
import os
from pathlib import Path

import click
import pytest

from facetag_cli.commands.photos.predict import print_line, read_image


def test_what_is_no_file_is_refused_without_being_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "pipe.jpg", Path("/dev/zero"), tmp_path):
        with pytest.raises(click.ClickException, match="not a regular file"):
            read_image(path, 100)


def test_a_file_that_is_too_large_is_refused_without_being_read(tmp_path):
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(click.ClickException, match="FACETAG_MAX_IMAGE_BYTES"):
        read_image(tmp_path / "huge.jpg", 100)


def test_a_name_that_is_no_utf8_is_printed(capsys):
    line = {"image": os.fsdecode(b"caf\xe9.jpg"), "state": "no_face", "error": None, "faces": []}
    print_line(line, "json")
    assert json.loads(capsys.readouterr().out) == line
    print_line(line, "table")
    assert r"caf\xe9.jpg" in capsys.readouterr().out
