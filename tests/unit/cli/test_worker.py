import pytest
from click.testing import CliRunner

from cli.main import main


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
    assert "one at a time" in result.output


def test_a_trainer_worker_whose_database_is_away_says_so(run):
    result = run(
        *("worker", "--trainer"),
        FACETAG_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none",
        FACETAG_REDIS_URL="redis://127.0.0.1:1/0",
    )
    assert result.exit_code == 1
    assert "PostgreSQL does not answer" in result.output
