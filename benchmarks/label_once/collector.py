"""Play a person who labels folders by `facetag tag`, and count in Postgres what is computed."""

import hashlib
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
import psycopg
from PIL import Image

from benchmarks.harness.photo_mix import DECK, PORTRAIT, make_photo
from benchmarks.samples import encode, load_photo
from facetag.standalone.announcements import find_servers
from facetag.standalone.processes.environment import python_environment
from facetag.standalone.servers.local_server import Folders

COMMAND = (sys.executable, "-P", "-m", "facetag_cli.main")
SIDE = (110, 135)
FRAMED = (200, 225)
FRAME_GRID = (9, 8, 3)
"""Rows, columns and channels of the coloured squares around a portrait."""
LONGEST_S = 3600
COMPUTED = """
    SELECT count(*), count(DISTINCT content) FROM images
    WHERE state IN ('tagged', 'no_face') AND reused_from IS NULL
"""


class Collector:
    """A person who labels folders with a data folder of their own."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._data = place / "data"
        self._environment = python_environment(FACETAG_DATA_DIR=str(self._data))

    def tag(self, folder: Path) -> tuple[float, str]:
        """Label a folder; return the seconds, and what the command said."""
        began = time.monotonic()
        done = subprocess.run(
            self._words(folder), env=self._environment, stderr=subprocess.PIPE, text=True
        )
        if done.returncode:
            raise click.ClickException(f"`facetag tag` failed:\n{done.stderr}")
        return time.monotonic() - began, done.stderr

    def tag_and_be_killed(self, folder: Path, after: int) -> None:
        """Begin to label a folder, and kill the command once `after` photos are labelled."""
        with subprocess.Popen(
            self._words(folder), env=self._environment, stderr=subprocess.DEVNULL
        ) as process:
            until = time.monotonic() + LONGEST_S
            while process.poll() is None and self.count()[0] < after:
                if time.monotonic() > until:
                    break
                time.sleep(0.2)
            killed = process.poll() is None
            process.send_signal(signal.SIGKILL)
        if not killed:
            raise click.ClickException("The command ended before it could be killed.")

    def count(self) -> tuple[int, int]:
        """Return how many results were computed, and for how many contents."""
        servers = find_servers(Folders(self._data).run)
        if servers is None:
            return 0, 0
        address = servers["database_url"].replace("postgresql+psycopg:", "postgresql:")
        try:
            with psycopg.connect(address, connect_timeout=10) as connection:
                found = connection.execute(COMPUTED).fetchone()
        except (psycopg.OperationalError, psycopg.errors.UndefinedTable):
            return 0, 0  # the server starts, or its tables are being made
        assert found is not None
        return found[0], found[1]

    def down(self) -> None:
        """End the service that `facetag tag` left."""
        subprocess.run([*COMMAND, "down", "--quiet"], env=self._environment, check=True)

    def _words(self, folder: Path) -> list[str]:
        output = self._place / f"{folder.name}.jsonl"
        return [*COMMAND, "tag", str(folder), "--output", str(output)]


@contextmanager
def open_collector() -> Iterator[tuple[Collector, Path]]:
    """Yield a collector and a folder; at the end both are gone."""
    with tempfile.TemporaryDirectory() as folder:
        collector = Collector(Path(folder))
        try:
            yield collector, Path(folder)
        finally:
            collector.down()


def write_small_photos(folder: Path, numbers: range) -> None:
    """Write a small portrait for each number, in a frame of its own: no two look alike."""
    portrait = load_photo("astronaut.png").crop(PORTRAIT).resize(SIDE)
    folder.mkdir(exist_ok=True)
    for number in numbers:
        colours = np.random.default_rng(number).integers(0, 256, FRAME_GRID, np.uint8)
        photo = Image.fromarray(colours).resize(FRAMED, Image.Resampling.NEAREST)
        photo.paste(portrait, ((FRAMED[0] - SIDE[0]) // 2, (FRAMED[1] - SIDE[1]) // 2))
        photo.save(folder / f"{number:05}.png")


def write_usual_photos(folder: Path, numbers: range) -> None:
    """Write a photo of the mix for each number: 2 megapixels on average, the same sizes in turn."""
    sizes = [megapixels for megapixels, number in DECK.items() for _ in range(number)]
    folder.mkdir(exist_ok=True)
    for place, number in enumerate(numbers):
        photo = make_photo(sizes[place % len(sizes)], np.random.default_rng(number))
        (folder / f"{number:05}.jpg").write_bytes(encode(photo, "JPEG", quality=88))


def hashing_s(photos: Sequence[Path]) -> float:
    """Return the seconds that it takes to read and hash these photos."""
    began = time.monotonic()
    for photo in photos:
        hashlib.sha256(photo.read_bytes()).digest()
    return time.monotonic() - began


def known_and_left(said: str) -> tuple[int, int]:
    """Return the numbers of "1,998 known, 21 to label"."""
    found = re.search(r"([\d,]+) known, ([\d,]+) to label", said)
    if found is None:
        raise click.ClickException(f"The command did not say what is known:\n{said}")
    known, left = (int(one.replace(",", "")) for one in found.groups())
    return known, left
