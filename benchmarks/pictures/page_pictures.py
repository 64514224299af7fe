"""Take pictures of each view of the page: `python -m benchmarks.pictures.page_pictures`.

They go to build/screenshots, at 360 and 1440 pixels wide; two are copied to docs/images. The photos
are those of `benchmarks.samples`.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from PIL import Image

from benchmarks.pictures.report_picture import find_browser
from benchmarks.samples import write_samples

ROOT = Path(__file__).resolve().parents[2]
WIDTHS = (360, 1440)
HEIGHT = 900
SHOWN = {"try-1440": "page-try", "review-1440": "page-review"}
"""The pictures that the README shows."""
COLOURS = 128
PATIENCE_S = 300


@contextmanager
def running_service(folder: Path) -> Iterator[str]:
    """Run `facetag up` with its data in a folder; yield the link that opens its page."""
    process = subprocess.Popen(
        [sys.executable, "-m", "facetag_cli.main", "up", "--data-dir", str(folder)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "its page" in line:
                yield line.split()[-1]
                return
        raise click.ClickException("facetag up ended before it printed the address of its page.")
    finally:
        process.terminate()
        # Reads what it still says, which would otherwise fill the pipe.
        process.communicate(timeout=60)


def take_pictures(page: Any, samples: Path, folder: Path) -> None:
    """Go through the views, and take each at every width."""

    def shoot(name: str) -> None:
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": HEIGHT})
            page.wait_for_timeout(500)
            page.screenshot(path=folder / f"{name}-{width}.png")

    page.set_input_files("#file", samples / "crew" / "three portraits.jpg")
    page.locator(".answer .face").first.wait_for()
    shoot("try")
    page.get_by_role("link", name="Folder").click()
    page.set_input_files("#folder", samples)
    page.get_by_role("link", name="Show the job").wait_for()
    shoot("folder")
    page.get_by_role("link", name="Show the job").click()
    page.get_by_text("completed with errors").wait_for()
    page.wait_for_timeout(2000)
    shoot("job")
    page.get_by_role("link", name="Review").click()
    page.locator(".stage .face").wait_for()
    page.wait_for_timeout(1000)
    shoot("review")
    for view in ("jobs", "models"):
        page.get_by_role("link", name=view.capitalize(), exact=True).click()
        page.wait_for_timeout(1500)
        shoot(view)


def main() -> None:
    """Take the pictures."""
    from playwright.sync_api import sync_playwright

    browser_path, folder = find_browser(), ROOT / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as work:
        samples = Path(work) / "samples"
        samples.mkdir()
        write_samples(samples)
        with running_service(Path(work) / "data") as link, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path, args=sandbox)
            page = browser.new_page(viewport={"width": 1440, "height": HEIGHT})
            page.set_default_timeout(1000 * PATIENCE_S)
            page.goto(link)
            wait_for_worker(page)
            take_pictures(page, samples, folder)
            browser.close()
    for taken, shown in SHOWN.items():
        with Image.open(folder / f"{taken}.png") as image:
            small = image.convert("RGB").quantize(COLOURS)
            small.save(ROOT / "docs" / "images" / f"{shown}.png", optimize=True)
    click.echo(f"Took pictures of the page: {folder}, two of them also in docs/images.")


def wait_for_worker(page: Any) -> None:
    """Wait until the worker has loaded its network."""
    until = time.monotonic() + PATIENCE_S
    ask = "fetch('/readyz').then((answer) => answer.json()).then((body) => body.parts.worker)"
    while page.evaluate(ask) != "ok":
        if time.monotonic() > until:
            raise click.ClickException(f"No worker was ready within {PATIENCE_S} s.")
        page.wait_for_timeout(500)


if __name__ == "__main__":
    main()
