"""Take a picture of a whole report page with headless Chromium."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import click
from PIL import Image, ImageChops

WIDTH = 1200
TALLEST = 6000
"""Pixels of the window; the empty rest below the page is cut off."""
HIGHEST = 1900
"""Pixels of the picture, which shows the top of a report: whoever reads on wants a summary."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT_S = 120


def find_browser() -> str:
    """Return the path of Chromium; raise click.ClickException if it is not installed."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise click.ClickException(
            f"The picture of the report needs Chromium, but none of {', '.join(BROWSERS)} is on "
            "the PATH. Install it (Debian and Ubuntu: apt-get install chromium)."
        )
    return found


def write_picture(report: Path, picture: Path) -> None:
    """Write the top of a report as a PNG file, WIDTH pixels wide and at most HIGHEST high."""
    browser = find_browser()
    # Chromium's sandbox refuses to run as root; the page is our own and runs our script alone.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as folder:
        window = Path(folder) / "window.png"
        subprocess.run(
            [
                browser,
                "--headless",
                *sandbox,
                "--disable-gpu",
                "--hide-scrollbars",
                f"--user-data-dir={folder}/profile",
                f"--window-size={WIDTH},{TALLEST}",
                f"--screenshot={window}",
                report.resolve().as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=TIMEOUT_S,
        )
        with Image.open(window) as image:
            whole = cut_empty_rest(image.convert("RGB"))
            whole.crop((0, 0, whole.width, min(whole.height, HIGHEST))).save(picture, optimize=True)


def cut_empty_rest(image: Image.Image, margin: int = 24) -> Image.Image:
    """Return an image without the rows at its end that have the colour of its last pixel."""
    ground = Image.new("RGB", image.size, image.getpixel((image.width - 1, image.height - 1)))
    box = ImageChops.difference(image, ground).getbbox()
    end = image.height if box is None else min(image.height, box[3] + margin)
    return image.crop((0, 0, image.width, end))
