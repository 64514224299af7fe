"""The tables change under workers of the code before: they go on, and new ones join."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from facetag.db.engine import migrate
from tests.earlier_release import ROOMS, find_earlier_release, import_path, unpack
from tests.integration.worker.harness import ROOT, Harness, environment, png

pytestmark = pytest.mark.integration

PHOTOS = 120
PARTS = ("facetag", *ROOMS, "tests")
POST = """
import sys
from facetag.settings import load_settings
from tests.earlier_release import ROOMS, find_earlier_release, import_path, unpack
from tests.integration.worker.harness import Harness
print(Harness(load_settings()).post(sys.argv[1:], announced=True))
"""


BEFORE = find_earlier_release()


class Release:
    """Code in a folder, which runs with our environment's packages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, harness: Harness, log: Path, *words: str) -> "subprocess.Popen[bytes]":
        """Start a program of this code, in a process group of its own."""
        with log.open("ab") as file:
            return subprocess.Popen(
                [sys.executable, *words],
                cwd=self.folder,
                env=self.environment(harness),
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def run(self, harness: Harness, *words: str) -> str:
        """Run a program of this code to its end; returns what it printed."""
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.environment(harness),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def environment(self, harness: Harness) -> dict[str, str]:
        path = {"PYTHONPATH": import_path(self.folder)}
        return os.environ | environment(harness.settings) | path


@pytest.fixture
def blank(harness):
    """The harness, on a database without tables."""
    url = make_url(harness.settings.require("database_url"))
    name = f"{url.database}_blank"
    administration = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(administration, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        there = url.set(database=name).render_as_string(hide_password=False)
        blank = Harness(
            harness.settings.model_copy(update={"database_url": SecretStr(there)}), log=harness.log
        )
        yield blank
        blank.sessions.kw["bind"].dispose()
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.mark.skipif(not BEFORE, reason="needs the history of git")
@pytest.mark.timeout(300)
def test_the_tables_are_upgraded_under_workers_of_the_release_before(blank, tmp_path):
    old, new = Release(unpack(BEFORE, tmp_path / "old", PARTS)), Release(ROOT)
    keys = blank.put(*(png(color=f"#ffff{number:02x}") for number in range(PHOTOS)))
    log = tmp_path / "worker.log"
    worker = ["-m", "tests.integration.worker.fake_worker"]
    running = []
    try:
        old.run(blank, "-m", "facetag_cli.main", "migrate")
        running.append(old.start(blank, log, *worker, "--photo-s=0.2"))
        job_id = old.run(blank, "-c", POST, *keys)
        with psycopg.connect(_plain(blank)) as watch:
            _wait(blank, watch, job_id, 4)
            migrate(blank.settings.require("database_url"))
            done = _done(watch, job_id)
            _wait(blank, watch, job_id, done + 8)
        running.append(new.start(blank, log, *worker))
        running.append(new.start(blank, log, "-m", "facetag_cli.main", "sweep"))
        running[0].send_signal(signal.SIGTERM)
        job = blank.wait_until_closed(job_id)
        running[0].wait(75)
    finally:
        for process in running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert (job.state, job.tagged) == ("completed", PHOTOS)
    assert len({row.claimed_by for row in blank.rows(job_id)}) == 2
    assert running[0].returncode == 0


def _plain(harness: Harness) -> str:
    url = make_url(harness.settings.require("database_url")).set(drivername="postgresql")
    return url.render_as_string(hide_password=False)


def _done(watch: psycopg.Connection, job_id: str) -> int:
    query = "SELECT count(*) FROM images WHERE job_id = %s AND state IN ('tagged', 'no_face')"
    row = watch.execute(query, [job_id]).fetchone()
    watch.commit()
    assert row is not None
    return int(row[0])


def _wait(harness: Harness, watch: psycopg.Connection, job_id: str, number: int) -> None:
    harness.wait_until(lambda: _done(watch, job_id) >= number, f"{number} are labelled")
