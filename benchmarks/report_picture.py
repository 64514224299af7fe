"""Write the README's picture of a report: `python -m benchmarks.report_picture REPORT.html PNG`.

It needs Chromium on the machine; `make picture` first tags the sample photos with what ships.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageChops

WIDTH = 1200
TALLEST = 6000
"""Pixels of the window; the empty rest below the page is cut off."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT_S = 120


def write_picture(report: Path, picture: Path) -> None:
    """Write the whole page of a report as a PNG file of 1200 pixels' width.

    Raises SystemExit where no browser is installed.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit(f"Install Chromium first: none of {', '.join(BROWSERS)} is on the PATH.")
    with tempfile.TemporaryDirectory() as folder:
        window = Path(folder) / "window.png"
        subprocess.run(
            [
                browser,
                "--headless",
                "--no-sandbox",
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
            cut_empty_rest(image.convert("RGB")).save(picture, optimize=True)


def cut_empty_rest(image: Image.Image, margin: int = 24) -> Image.Image:
    """Return an image without the rows at its end that have the colour of its last pixel."""
    ground = Image.new("RGB", image.size, image.getpixel((image.width - 1, image.height - 1)))
    box = ImageChops.difference(image, ground).getbbox()
    end = image.height if box is None else min(image.height, box[3] + margin)
    return image.crop((0, 0, image.width, end))


if __name__ == "__main__":
    write_picture(Path(sys.argv[1]), Path(sys.argv[2]))
