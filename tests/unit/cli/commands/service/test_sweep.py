from click.testing import CliRunner

from facetag_cli.main import main


def test_a_single_sweep_without_its_database_ends_with_the_reason():
    result = CliRunner().invoke(
        main,
        ["sweep", "--once"],
        env={
            "FACETAG_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
            "FACETAG_REDIS_URL": "redis://127.0.0.1:1/0",
        },
    )
    assert result.exit_code == 1
    assert "PostgreSQL does not answer" in result.output
