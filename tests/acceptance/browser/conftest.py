"""Headless Chromium before a running service, and what every view must hold."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import httpx
import psutil
import pytest

from benchmarks.pictures.report_picture import find_browser
from benchmarks.samples import load_photo

ROOT = Path(__file__).resolve().parents[3]
READY_S = 240
LONGEST_WAIT_MS = 90_000
"""The first photo waits while the network of a fresh checkout is still being prepared."""


@pytest.fixture(scope="session")
def chromium() -> str:
    try:
        return find_browser()
    except click.ClickException as error:
        pytest.skip(error.message)


@pytest.fixture(scope="module")
def playwright(chromium):
    # While it is open, nothing else in this process can run an event loop: it ends with a module.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright, chromium):
    flags = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    # Chromium's sandbox refuses to run as root; the page is our own.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    started = playwright.chromium.launch(executable_path=chromium, args=[*flags, *sandbox])
    yield started
    started.close()


class Service:
    """A running `facetag up`, its address and that of its object storage."""

    def __init__(self, environment: dict[str, str], data_dir: Path) -> None:
        self.data_dir = data_dir
        self._command = [
            sys.executable,
            "-m",
            "facetag_cli.main",
            "up",
            "--data-dir",
            str(data_dir),
        ]
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = self._find("The service is up")
        self._http = httpx.Client(base_url=self.url, trust_env=False)
        self._http.get(self._find("its page"))
        self.cookies = [
            {"name": name, "value": value, "url": self.url}
            for name, value in self._http.cookies.items()
        ]
        wait_for(lambda: self._parts().get("worker") == "ok", "the worker is ready", READY_S)
        policy = self._http.get("/").headers["content-security-policy"]
        connect = re.search(r"connect-src 'self' (\S+)", policy)
        self.store = connect[1].rstrip(";") if connect else ""

    def get(self, path: str) -> httpx.Response:
        return self._http.get(path)

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        answer = self._http.post(path, json=body)
        answer.raise_for_status()
        return answer

    def stop(self) -> None:
        below = psutil.Process(self._process.pid).children(recursive=True)
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(READY_S)
        psutil.wait_procs(below, timeout=60)
        self._reader.join()
        self._http.close()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._lines.append(line.rstrip())

    def _find(self, words: str) -> str:
        """Return the address behind these words."""
        wait_for(lambda: any(words in line for line in self._lines), "it is up", READY_S)
        return next(line.split()[-1] for line in self._lines if words in line)

    def _parts(self) -> dict[str, str]:
        # While it starts, it may be too busy to tell.
        return self.get("/readyz").json().get("parts", {})


def wait_for(condition, what: str, patience_s: float = 60) -> None:
    until = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < until, f"waited in vain until {what}"
        time.sleep(0.1)


@pytest.fixture(scope="session")
def service(chromium, environment, tmp_path_factory) -> Iterator[Service]:
    running = Service(environment, tmp_path_factory.mktemp("service") / "data")
    yield running
    running.stop()


@pytest.fixture
def open_page(browser, service):
    """Open the page in a window; at the end nothing may have gone wrong in it."""

    @contextmanager
    def open_at(view: str, *, forgive: str | None = None, **options):
        context = browser.new_context(**options)
        context.add_cookies(service.cookies)
        page = context.new_page()
        page.set_default_timeout(LONGEST_WAIT_MS)
        faults: list[str] = []
        allowed = {urlsplit(service.url).netloc, urlsplit(service.store).netloc}

        def check_host(request) -> None:
            parts = urlsplit(request.url)
            if parts.scheme in ("http", "https") and parts.netloc not in allowed:
                faults.append(f"a request to {parts.netloc}")

        page.on("request", check_host)
        page.on("console", lambda said: said.type == "error" and faults.append(said.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{service.url}/{view}")
        yield page
        context.close()
        assert [fault for fault in faults if not (forgive and re.search(forgive, fault))] == []

    return open_at


@pytest.fixture
def upload(run, service):
    def send(folder, *options):
        """Send a folder as the command does; return the job's id."""
        sent = run("upload", folder, *options, FACETAG_DATA_DIR=str(service.data_dir))
        assert sent.returncode == 0, sent.stderr
        return sent.stdout.split()[-1]

    return send


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """Twenty different photos of one face."""
    folder = tmp_path_factory.mktemp("crowd") / "crowd"
    folder.mkdir()
    portrait = load_photo("astronaut.png").crop((120, 0, 340, 270))
    for number in range(20):
        portrait.resize((220 + number, 270)).save(folder / f"{number:02}.jpg")
    return folder


def drop_folder(page, folder: Path) -> None:
    """Drop a folder of this machine on the page, as a file manager does."""
    box = page.locator(".drop").bounding_box()
    files = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
    devtools = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        place = {"x": box["x"] + 9, "y": box["y"] + 9}
        devtools.send("Input.dispatchDragEvent", {"type": kind, **place, "data": files})


def check_access(page) -> None:
    """Nothing serious that axe finds keeps people out: light, dark, 360 and 1440 pixels wide."""
    from axe_playwright_python.sync_playwright import Axe

    size = page.viewport_size
    for width, scheme in ((1440, "dark"), (1440, "light"), (360, "dark"), (360, "light")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page)
        serious = [
            (one["id"], [node["html"][:200] for node in one["nodes"]])
            for one in found.response["violations"]
            if one["impact"] in ("serious", "critical")
        ]
        assert serious == [], f"{width} pixels, {scheme}"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size(size)
