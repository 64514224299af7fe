"""What the Makefile and `.ci/run` do where the machine or the demo is not as they want it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the files that make reads, and no environment."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture
def installed(checkout: Path) -> Path:
    """A checkout whose environment is a stand-in: `facetag` ends with the status in STATUS."""
    bin_folder = checkout / ".venv" / "bin"
    bin_folder.mkdir(parents=True)
    write_script(
        bin_folder / "facetag",
        'printf "<%s>" "$@"; echo; echo "data: $FACETAG_DATA_DIR"; exit "$STATUS"',
    )
    write_script(bin_folder / "python", 'echo "python:$*"')
    (checkout / ".venv" / ".installed-cpu").touch()
    return checkout


def write_script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MAKE", "FACETAG_")) and name not in {"GPU", "PHOTOS", "PYTHON"}
    }
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def run_ci(clone: Path, shims: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a clone's `.ci/run` with the programs of `shims` before all others."""
    return subprocess.run(
        ["bash", ".ci/run"],
        cwd=clone,
        env={"PATH": f"{shims}:/usr/bin:/bin", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_make_alone_lists_its_targets() -> None:
    shown = make(ROOT).stdout
    assert [name for name in ("demo", "test", "lint", "bench", "clean") if name not in shown] == []


def test_an_unsupported_python_is_refused_with_the_versions_that_work(
    checkout: Path, tmp_path: Path
) -> None:
    shims = tmp_path / "shims"
    shims.mkdir()
    for name in ("python3", "python3.11", "python3.12", "python3.13"):
        write_script(shims / name, '[ "$1" = --version ] && echo "Python 3.14.1" || exit 1')
    ran = make(checkout, "demo", PATH=f"{shims}:/usr/bin:/bin")
    assert ran.returncode != 0
    assert "needs Python 3.11, 3.12 or 3.13. TensorFlow has no wheel for 3.14" in ran.stderr
    assert "python3 is Python 3.14.1" in ran.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_without_ensurepip_is_told_which_package_to_install(
    checkout: Path, tmp_path: Path
) -> None:
    shims = tmp_path / "shims"
    shims.mkdir()
    bare = 'case "$2" in *ensurepip*) exit 1;; *version_info\\[:2\\]\\)) echo 3.12;; esac'
    for name in ("python3", "python3.11", "python3.12", "python3.13"):
        write_script(shims / name, bare)
    ran = make(checkout, "demo", PATH=f"{shims}:/usr/bin:/bin")
    assert ran.returncode != 0
    assert "apt-get install python3.12-venv" in ran.stderr


def test_the_demo_wants_the_damaged_samples_reported(installed: Path) -> None:
    ran = make(installed, "demo", STATUS="3")
    assert ran.returncode == 0
    assert "python:-m benchmarks.samples build/samples" in ran.stdout
    assert "<tag><build/samples><--report><build/report.html>" in ran.stdout
    assert f"data: {installed}/build/data" in ran.stdout
    assert "build/report.html in a browser" in ran.stdout
    assert make(installed, "demo", STATUS="0").returncode != 0
    assert make(installed, "demo", STATUS="1").returncode != 0


@pytest.mark.parametrize(("status", "succeeds"), [("0", True), ("3", True), ("1", False)])
def test_the_demo_takes_photos_from_a_folder_with_any_name(
    installed: Path, status: str, succeeds: bool
) -> None:
    ran = make(installed, "demo", "PHOTOS=/photos/l'été 2024", STATUS=status)
    assert "<tag></photos/l'été 2024><--report>" in ran.stdout
    assert "benchmarks.samples" not in ran.stdout
    assert (ran.returncode == 0) is succeeds


def test_programs_that_make_runs_keep_what_python_compiles(installed: Path) -> None:
    write_script(installed / ".venv" / "bin" / "facetag", 'env | grep BYTECODE; exit "$STATUS"')
    ran = make(installed, "demo", STATUS="3", PYTHONDONTWRITEBYTECODE="1")
    assert ran.returncode == 0
    assert "BYTECODE" not in ran.stdout


@pytest.mark.parametrize("data_is_there", [True, False])
def test_ci_lints_then_tests_with_the_real_data_where_there_is_any(
    tmp_path: Path, data_is_there: bool
) -> None:
    clone = tmp_path / "clone"
    (clone / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", clone / ".ci" / "run")
    data = tmp_path / "shared" / "utkface"
    if data_is_there:
        data.mkdir(parents=True)
    shims = tmp_path / "shims"
    shims.mkdir()
    write_script(shims / "make", 'echo "$1 ${FACETAG_TEST_DATA-none}"; [ "$1" != test ] || exit 2')
    ran = run_ci(clone, shims, CI="true")
    shown = str(data) if data_is_there else "none"
    assert ran.stdout.splitlines() == [f"lint {shown}", f"test {shown}"]
    assert ran.returncode == 2


@pytest.mark.parametrize(("status", "goes_on"), [(0, True), (77, True), (1, False)])
def test_ci_starts_containers_on_request_before_the_tests(
    tmp_path: Path, status: int, goes_on: bool
) -> None:
    for folder in (".ci", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    python = tmp_path / ".venv" / "bin" / "python"
    write_script(python, f'echo "python $*"; exit {status}')
    write_script(tmp_path / "make", 'echo "$1"')
    ran = run_ci(tmp_path, tmp_path, FACETAG_CONTAINERS="1")
    shown = ["lint", "python -m tests.containers", *(["test"] if goes_on else [])]
    assert ran.stdout.splitlines() == shown
    assert ran.returncode == (0 if goes_on else status)


@pytest.mark.parametrize(
    ("said", "status", "shown"),
    [
        ("No known vulnerabilities found", 0, "No known vulnerabilities found"),
        ("Found 1 known vulnerability", 1, "Found 1 known vulnerability"),
        ("requests.exceptions.ConnectionError: x", 1, "the package index does not answer"),
    ],
)
def test_lint_looks_up_vulnerabilities_if_asked_and_lives_without_a_network(
    installed: Path, said: str, status: int, shown: str
) -> None:
    (installed / ".venv" / ".dev").touch()
    tools = installed / ".venv" / "bin"
    for name in ("ruff", "mypy", "lint-imports"):
        write_script(tools / name, "")
    write_script(tools / "pip-audit", f'echo "{said}"; exit {status}')
    write_script(tools / "python", "exit 0")
    asked = make(installed, "lint", AUDIT="1")
    assert shown in asked.stdout
    assert (asked.returncode != 0) == (said.startswith("Found"))
    alone = make(installed, "lint")
    assert alone.returncode == 0
    assert said not in alone.stdout
