from click.testing import CliRunner

from facetag_cli.main import main


def test_the_exit_status_says_whether_something_is_wrong(tmp_path):
    options = ["doctor", "--data-dir", str(tmp_path)]
    wrong = CliRunner().invoke(main, options, env={"FACETAG_MIN_FACE": "7"})
    assert wrong.exit_code == 1
    assert "FACETAG_MIN_FACE" in wrong.output.partition("What is wrong")[2]
    right = CliRunner().invoke(main, options)
    assert right.exit_code == 0, right.output
    assert right.output.endswith("Nothing is wrong.\n")
    assert not list(tmp_path.iterdir())
