"""Install the peers into a virtual environment of their own, and run them there."""

import json
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from benchmarks.harness.separate_process import Turn, Way

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
SERVER = Path(__file__).with_name("peer_server.py")
INSTALLED = "installed.txt"
"""The file that holds the requirements of an environment, once all of them are installed."""


def prepare_environment(folder: Path) -> Path:
    """Return the interpreter of an environment that has the peers; it is made once.

    Raises click.ClickException if they cannot be installed.
    """
    python, installed = folder / "bin" / "python", folder / INSTALLED
    wanted = REQUIREMENTS.read_text()
    if not installed.is_file() or installed.read_text() != wanted:
        click.echo(f"Installing the peers in {folder}", err=True)
        venv.create(folder, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS)]
        done = subprocess.run(command, check=False, stdout=sys.stderr)
        if done.returncode:
            raise click.ClickException(
                "The peers cannot be installed: see pip's message, and mend the package index."
            )
        installed.write_text(wanted)
    return python


@contextmanager
def run_peer(python: Path, peer: str) -> Iterator[Way]:
    """Run a peer in a process, which serves all turns."""
    process = subprocess.Popen(
        [python, SERVER, peer], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    asked, answered = process.stdin, process.stdout

    def label(photos: Sequence[Path]) -> Turn:
        asked.write(json.dumps([str(path) for path in photos]) + "\n")
        asked.flush()
        line = answered.readline()
        if not line:
            raise click.ClickException(f"{peer} has ended: see its traceback.")
        return Turn(**json.loads(line), stage_ms={})

    try:
        yield label
    finally:
        asked.close()
        process.wait()
