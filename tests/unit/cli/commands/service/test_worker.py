import pytest
from click.testing import CliRunner

from facetag_cli.main import main


@pytest.fixture
def run():
    return lambda *arguments, **env: CliRunner().invoke(main, arguments, env=env)


def test_a_worker_without_a_database_says_which_setting_is_missing(run):
    result = run("worker", FACETAG_DATABASE_URL="")
    assert result.exit_code == 1
    assert "FACETAG_DATABASE_URL" in result.output


def test_a_worker_whose_database_is_away_says_so(run):
    result = run(
        "worker",
        FACETAG_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none",
        FACETAG_REDIS_URL="redis://127.0.0.1:1/0",
    )
    assert result.exit_code == 1
    assert "PostgreSQL does not answer" in result.output


def test_a_worker_has_at_least_one_child(run):
    assert run("worker", "--concurrency", "0").exit_code == 2


def test_a_trainer_worker_has_one_child(run):
    result = run("worker", "--trainer", "--concurrency", "2")
    assert result.exit_code == 2
    assert "--concurrency cannot be combined with --trainer" in result.output


def test_a_trainer_worker_whose_database_is_away_says_so(run):
    result = run(
        *("worker", "--trainer"),
        FACETAG_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none",
        FACETAG_REDIS_URL="redis://127.0.0.1:1/0",
    )
    assert result.exit_code == 1
    assert "PostgreSQL does not answer" in result.output


def test_a_worker_looks_for_the_smallest_face_that_it_is_told(run, monkeypatch):
    told = []

    def run_worker(settings, *, concurrency):
        told.append((settings.min_face, concurrency))
        return 0

    monkeypatch.setattr("facetag_worker.main.run_worker", run_worker)
    assert run("worker", FACETAG_MIN_FACE="0.1").exit_code == 0
    assert run("worker", "--min-face", "0.02", FACETAG_MIN_FACE="0.1").exit_code == 0
    assert told == [(0.1, 1), (0.02, 1)]


@pytest.mark.parametrize("share", ["0", "1.5", "small"])
def test_a_smallest_face_is_a_share(run, share):
    result = run("worker", "--min-face", share)
    assert result.exit_code == 2
    assert "--min-face" in result.output


def test_a_trainer_worker_has_no_smallest_face(run):
    result = run("worker", "--trainer", "--min-face", "0.1")
    assert result.exit_code == 2
    assert "--min-face cannot be combined with --trainer" in result.output
