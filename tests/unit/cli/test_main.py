import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from facetag.errors import FacetagError
from facetag_cli.main import ENTRIES, LazyGroup, main

COMMANDS = ["tag", "predict", "upload", "status", "results", "retry", "cancel"]
COMMANDS += ["up", "api", "worker", "sweep", "migrate", "shard", "train", "evaluate"]
COMMANDS += [
    "review",
    "calibrate",
    "tune",
    "explore",
    "imbalance",
    "models",
    "retrain",
    "retrainings",
]
COMMANDS += ["retag", "compose", "teach", "jobs", "report", "resume", "keys", "warm", "doctor"]
COMMANDS += ["down", "export", "purge", "audit-log", "watch", "compare", "audit", "alive"]


def group_of(command):
    """The real group, with one command that is not in the table."""

    class Group(LazyGroup):
        def get_command(self, ctx, cmd_name):
            super().get_command(ctx, cmd_name)
            return command

    return Group(name="facetag", params=[click.Option(["--debug"], is_flag=True)])


def test_help_lists_every_command_with_one_line_each():
    shown = CliRunner().invoke(main, ["--help"])
    assert shown.exit_code == 0
    for name in COMMANDS:
        assert f"  {name} " in shown.output
        assert ENTRIES[name].help in shown.output
    assert set(COMMANDS) == set(ENTRIES)


def test_help_imports_nothing_heavy():
    program = (
        "import sys; from facetag_cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'rich', 'httpx', 'pydantic', 'sqlalchemy', 'PIL', 'numpy', 'tensorflow'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "HEAVY []" in shown.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(name):
    shown = CliRunner().invoke(main, [name, "--help"])
    assert shown.exit_code == 0, shown.output
    # A backspace keeps the examples' lines apart; two characters that look like one do not.
    assert "\\b" not in shown.output
    # `sweep`, `worker` and their like take no arguments worth an example.
    if name not in ("api", "worker", "sweep", "migrate"):
        assert f"facetag {name}" in shown.output


def test_every_command_has_the_name_of_its_module():
    for name, entry in ENTRIES.items():
        command = main.get_command(click.Context(main), name)
        assert command.name == name == entry.name


def test_the_version_is_shown():
    shown = CliRunner().invoke(main, ["--version"])
    assert shown.exit_code == 0
    assert "0.1.0" in shown.output


def test_an_unknown_command_is_a_wrong_argument():
    assert CliRunner().invoke(main, ["tagg"]).exit_code == 2


def test_an_error_of_facetag_is_one_line_and_exit_status_1():
    @click.command()
    def failing():
        raise FacetagError("Do this instead.")

    shown = CliRunner().invoke(group_of(failing), ["failing"])
    assert (shown.exit_code, shown.output) == (1, "Error: Do this instead.\n")


WITHOUT_STREAMS = """
import os
import sys

from facetag_cli.main import fill_standard_streams

fill_standard_streams()
null = os.stat("/dev/null").st_rdev
assert [os.fstat(number).st_rdev for number in range(3)] == [null] * 3
assert all(os.get_inheritable(number) for number in range(3))
assert os.open("/", os.O_RDONLY) > 2
print("said", file=sys.stderr)
assert sys.stdin.read() == ""
"""


def test_standard_streams_that_were_closed_lead_to_nothing():
    run = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, WITHOUT_STREAMS], check=False
    )
    assert run.returncode == 0


def test_a_working_directory_that_was_removed_is_said_in_one_line(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    run = CliRunner().invoke(main, ["jobs"])
    assert run.exit_code == 1
    assert run.output.startswith("Error: The working directory no longer exists")
    assert run.output.count("\n") == 1


def test_debug_shows_where_an_error_came_from():
    @click.command()
    def failing():
        raise FacetagError("Do this instead.")

    shown = CliRunner().invoke(group_of(failing), ["--debug", "failing"])
    assert isinstance(shown.exception, FacetagError)


def test_a_missing_package_is_named_with_the_way_to_install_it():
    @click.command()
    def failing():
        import no_such_package  # noqa: F401

    shown = CliRunner().invoke(group_of(failing), ["tag"])
    assert shown.exit_code == 1
    assert "'no_such_package'" in shown.output
    assert "facetag[standard]" in shown.output


def test_ctrl_c_ends_with_the_status_that_shells_expect():
    @click.command()
    def failing():
        raise KeyboardInterrupt

    assert CliRunner().invoke(group_of(failing), ["failing"]).exit_code == 130
