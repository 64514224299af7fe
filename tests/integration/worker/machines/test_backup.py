"""A backup that was taken during a job is restored into new servers, and the job goes on."""

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import make_url, text

from facetag.settings import Settings
from facetag.standalone.servers.binaries import find_postgres
from facetag.standalone.stack import LocalStack
from facetag_cli.main import main
from tests.integration.worker.harness import ROOT, Harness, environment, png

pytestmark = pytest.mark.integration

PHOTOS = 24
DUMP = ("pg_dump", "--format=custom")
RESTORE = ("pg_restore", "--no-owner")


@pytest.fixture
def elsewhere(tmp_path):
    """New servers, with nothing on them."""
    with LocalStack(Settings(data_dir=tmp_path / "elsewhere")) as stack:
        settings = stack.connected_settings().model_copy(
            update={"lease_s": 2.0, "chunk_images": 4, "sweep_interval_s": 0.5}
        )
        harness = Harness(settings, log=tmp_path / "elsewhere.log")
        harness.storage.ensure_bucket()
        yield harness
        harness.sessions.kw["bind"].dispose()


def run_client(words: tuple[str, ...], settings: Settings, *arguments: str) -> None:
    """Run a client program of PostgreSQL, such as an operator has."""
    program = find_postgres() / "bin" / words[0]
    url = make_url(settings.require("database_url")).set(drivername="postgresql")
    name = f"--dbname={url.render_as_string(hide_password=False)}"
    done = subprocess.run(
        [program, *words[1:], name, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def copy_objects(here: Harness, there: Harness, keys: list[str]) -> None:
    for key in keys:
        data = here.storage.fetch(here.settings.s3_bucket, key, 2**20)
        there.storage.put(key, data, "image/png")


def labelled(harness, job_id):
    """What is known of the images that have ended, by position, with their faces."""
    query = text("""
        SELECT images.position, state, model_version, finished_at, count(faces.id),
            coalesce(jsonb_agg(faces.attributes) FILTER (WHERE faces.id IS NOT NULL), '[]')
        FROM images LEFT JOIN faces ON faces.image_id = images.id
        WHERE job_id = :job AND finished_at IS NOT NULL
        GROUP BY images.id ORDER BY images.position
    """)
    with harness.transaction() as session:
        return {row[0]: row[1:] for row in session.execute(query, {"job": job_id})}


@pytest.mark.timeout(300)
def test_a_job_goes_on_from_a_dump_and_nothing_committed_is_lost(
    harness, start, elsewhere, tmp_path
):
    keys = harness.put(*(png(color=f"#ffff{number:02x}") for number in range(PHOTOS)))
    job_id = harness.post(keys, announced=True)
    worker = start("worker", "--photo-s", "0.2")
    harness.wait_until(lambda: len(labelled(harness, job_id)) >= 4, "some are labelled")
    before = labelled(harness, job_id)
    dump = tmp_path / "facetag.dump"
    run_client(DUMP, harness.settings, f"--file={dump}")
    worker.kill()

    lost, stray = keys[-1], keys[0].replace("0000", "none")
    copy_objects(harness, elsewhere, [key for key in keys if key != lost])
    run_client(RESTORE, elsewhere.settings, str(dump))
    restored = labelled(elsewhere, job_id)
    assert len(restored) < PHOTOS, "the dump was taken during the job"
    assert restored.items() >= before.items()

    elsewhere.storage.put(stray, png(), "image/png")
    repaired = CliRunner().invoke(
        main, ["sweep", "--repair"], env=environment(elsewhere.settings), catch_exceptions=False
    )
    assert repaired.output.splitlines() == [
        "Waiting photos that storage lacks: 1 (failed as object_missing)",
        "Uploads of the last day that no job names: 1 (they stay until they are a day old)",
    ]
    harness.settings = elsewhere.settings
    start("sweeper")
    start("worker")
    job = elsewhere.wait_until_closed(job_id)
    assert (job.state, job.tagged, job.failed) == (
        "completed_with_errors",
        PHOTOS - 1,
        1,
    )
    assert labelled(elsewhere, job_id).items() >= restored.items()


@pytest.mark.parametrize("words", [DUMP, RESTORE])
def test_the_page_says_what_is_tried_here(words):
    page = (Path(ROOT) / "docs" / "deployment.md").read_text()
    assert " ".join(words) in page.replace(" --username=facetag", "")
