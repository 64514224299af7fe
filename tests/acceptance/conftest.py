"""The command as a user runs it: in processes of its own, with a service that it starts itself."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.samples import write_samples
from facetag.bundles.bundle_folder import DEFAULT_FOLDER, MANIFEST

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE_S = 1500
"""For one command on a machine that does other work too; alone they take some seconds."""
COMMAND = [sys.executable, "-m", "facetag_cli.main"]


@pytest.fixture(scope="session")
def shipped_bundle(bundle) -> Path:
    """The bundle that ships, or where a checkout has none the tiny one."""
    return DEFAULT_FOLDER if (DEFAULT_FOLDER / MANIFEST).exists() else bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory) -> Path:
    """A tiny bundle with random weights: it loads faster, and its labels are of the same form."""
    from keras.utils import set_random_seed

    from facetag.vision.bundle_writer import write_bundle
    from facetag.vision.crop import UprightCrop
    from facetag.vision.network.attributes import build_network
    from facetag.vision.network.spec import NetworkSpec

    # The same in each session, so that its graphs are made once.
    set_random_seed(1)
    spec = NetworkSpec(backbone="tiny", input_size=32, hidden_units=8)
    folder = tmp_path_factory.mktemp("bundle")
    facts = {
        "created": "2025-01-31",
        "age_range": {"coverage": 0.8, "knots": [20, 60], "below": [3, 8], "above": [4, 9]},
    }
    write_bundle(folder, build_network(spec), spec, UprightCrop(), facts)
    return folder


@pytest.fixture(scope="session")
def environment(tmp_path_factory, bundle) -> dict[str, str]:
    """An environment whose home, data and cache are this session's own, but for prepared graphs."""
    home = tmp_path_factory.mktemp("home")
    # The detector's graphs are the same for all sessions, and take half a minute to make.
    graphs = Path(os.environ["XDG_CACHE_HOME"]) / "facetag" / "graphs"
    graphs.mkdir(parents=True, exist_ok=True)
    (home / "cache" / "facetag").mkdir(parents=True)
    (home / "cache" / "facetag" / "graphs").symlink_to(graphs)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("FACETAG_")}
    return kept | {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "FACETAG_DATA_DIR": str(home / "data"),
        "FACETAG_BUNDLE": str(bundle),
        "FACETAG_LINGER_S": "0",
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture
def run(environment):
    """Run the command to its end; return its exit status and what it wrote."""

    def run_command(*arguments, timeout=PATIENCE_S, **more):
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            cwd=ROOT,
            env=environment | more,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run_command


@pytest.fixture
def start(environment) -> Iterator:
    """Start the command in a process group of its own, and end what a failed test left."""
    started = []

    def start_command(*arguments, **more):
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            cwd=ROOT,
            env=environment | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # Who runs the tests in the background may have Ctrl-C ignored, which is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        started.append(process)
        return process

    yield start_command
    for process in started:
        if process.poll() is None:
            family = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGKILL)
            process.wait()
            psutil.wait_procs(family, timeout=60)
        process.stdout.close()
        process.stderr.close()


@pytest.fixture(scope="session")
def samples(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos") / "samples"
    folder.mkdir()
    write_samples(folder)
    return folder
