import os
import shutil
import subprocess
import sys

import pytest

from tests.containers.engine import BRIDGE, EngineMissing, open_engine, run_daemon
from tests.unit.packaging.containers import ROOT


def test_where_no_engine_can_be_had_it_is_said_and_nothing_fails(tmp_path):
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    ran = subprocess.run(
        [sys.executable, "-m", "tests.containers"],
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 77, ran.stderr
    assert "FACETAG_CONTAINERS=1 installs one on Debian" in ran.stderr


def test_only_root_installs_an_engine(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(EngineMissing, match="root"), open_engine(tmp_path, install=True):
        pass


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("dockerd") or BRIDGE.exists(),
    reason="needs root, and an engine that is installed and does not run",
)
def test_an_engine_of_our_own_leaves_no_network_behind(tmp_path):
    with run_daemon(tmp_path, tmp_path / "data"):
        assert BRIDGE.exists()
    assert not BRIDGE.exists()
