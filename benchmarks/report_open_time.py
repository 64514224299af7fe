"""Measure how soon a report of many photos opens, and look for barriers with axe-core.

    python -m benchmarks.report_open_time

Reports of 64 and of 10,000 photos, with as many pictures as a report may have, are opened in
headless Chromium, light and dark, 390 and 1440 pixels wide. The seconds run from the navigation to
the moment at which the gallery says how many photos it shows. The program fails if one opens in a
second or more, is wider than the window, or has a barrier that axe-core calls serious.
"""

import base64
import io
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from PIL import Image

from benchmarks.harness.machine import describe_machine, in_words
from benchmarks.harness.report_pages import make_lines, write_report
from benchmarks.pictures.report_picture import find_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BOUND_S = 1.0
WINDOWS = [(width, scheme) for width in (390, 1440) for scheme in ("light", "dark")]


@click.command(help=__doc__)
@click.option("--photos", multiple=True, type=int, default=(64, 10_000), show_default=True)
@click.option("--rounds", default=3, show_default=True, help="Rounds to take medians over.")
def main(photos: tuple[int, ...], rounds: int) -> None:
    """Open the reports and print the figures."""
    from playwright.sync_api import sync_playwright

    click.echo(in_words(describe_machine()))
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=sandbox)
        for number in photos:
            path = Path(folder) / f"{number}.html"
            address = write_report(path, make_lines(number), make_picture())
            click.echo(f"{number:,} photos, {path.stat().st_size / 2**20:.1f} MiB")
            for width, scheme in WINDOWS:
                taken = [
                    open_report(browser, address, number, width, scheme) for _ in range(rounds)
                ]
                opened_s = median(seconds for seconds, _ in taken)
                barriers = taken[0][1]
                click.echo(
                    f"  {width:4} px, {scheme:5}: {opened_s:.2f} s; "
                    f"{', '.join(barriers) or 'no serious barrier'}"
                )
                if opened_s >= BOUND_S or barriers:
                    faults.append(f"{number:,} photos at {width} px, {scheme}")
        browser.close()
    if faults:
        raise click.ClickException(f"Not as promised: {'; '.join(faults)}.")


def open_report(
    browser: "Browser", address: str, photos: int, width: int, scheme: Any
) -> tuple[float, list[str]]:
    """Return the seconds until the gallery stands, and the names of barriers."""
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.get_by_role("status").get_by_text(f"{photos:,} of {photos:,} photos").wait_for()
    opened_s = time.perf_counter() - began
    violations = Axe().run(page).response["violations"]
    barriers = [one["id"] for one in violations if one["impact"] in ("serious", "critical")]
    if page.evaluate("document.documentElement.scrollWidth") > width:
        barriers.append("wider than the window")
    context.close()
    return opened_s, barriers


def make_picture() -> str:
    """Return a data URI as large as a usual thumbnail, about 12 kB."""
    rng = np.random.default_rng(1)
    noise = rng.normal(128, 24, (160, 240, 3)).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", quality=78)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


if __name__ == "__main__":
    main()
