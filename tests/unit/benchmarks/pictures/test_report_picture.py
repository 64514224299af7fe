import shutil

import click
import pytest
from PIL import Image

from benchmarks.pictures.report_picture import (
    BROWSERS,
    WIDTH,
    cut_empty_rest,
    find_browser,
    write_picture,
)


def test_the_empty_rest_below_a_page_is_cut_off():
    image = Image.new("RGB", (40, 300), "white")
    image.paste("black", (5, 10, 30, 100))
    assert cut_empty_rest(image, margin=20).size == (40, 120)


def test_a_page_that_fills_the_window_stays_whole():
    image = Image.new("RGB", (40, 300), "white")
    image.paste("black", (0, 0, 39, 300))
    assert cut_empty_rest(image).size == (40, 300)


@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="needs Chromium")
def test_a_picture_shows_the_page_to_its_end(tmp_path):
    report = tmp_path / "a report.html"
    report.write_text('<body style="margin:0"><div style="height:900px;background:red"></div>')
    write_picture(report, tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as image:
        assert image.size == (WIDTH, 924)
        assert image.getpixel((WIDTH // 2, 890)) == (255, 0, 0)


def test_a_machine_without_chromium_is_told_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(click.ClickException, match="apt-get install chromium"):
        find_browser()
    (tmp_path / BROWSERS[-1]).touch(mode=0o755)
    assert find_browser() == str(tmp_path / BROWSERS[-1])
