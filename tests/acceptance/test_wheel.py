"""The wheel in an environment of its own, in a folder with names that other projects use."""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

from facetag.bundles.bundle_folder import CARD, DEFAULT_FOLDER, MANIFEST, WEIGHTS
from tests.unit.packaging.test_dependencies import closure

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]
OURS = (
    "facetag",
    "facetag_api",
    "facetag_cli",
    "facetag_migrations",
    "facetag_trainer",
    "facetag_worker",
)
THEIRS = ("api", "cli", "migrations", "models", "tests", "trainer", "vision", "worker")
"""What a user's project may call its own modules."""
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


@dataclass(frozen=True)
class Installation:
    """An environment that holds our wheel, and the project that it is used in."""

    environment: Path
    project: Path

    def run(self, program: str, *arguments: object, **more: str) -> subprocess.CompletedProcess:
        """Run one of the environment's programs in the project, which comes first on the path."""
        kept = {name: value for name, value in os.environ.items() if "FACETAG" not in name}
        return subprocess.run(
            [self.environment / "bin" / program, *map(str, arguments)],
            cwd=self.project,
            env=kept | {"PYTHONPATH": "."} | more,
            capture_output=True,
            text=True,
            timeout=1500,
        )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built by what is installed here: no network is asked."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder))
    subprocess.run([*PIP, "wheel", *options, str(ROOT)], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installation(wheel, tmp_path_factory) -> Installation:
    """What `pip install 'facetag[standard]'` gives."""
    return install(wheel, tmp_path_factory.mktemp("elsewhere"), "standard")


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory) -> Installation:
    """What `pip install facetag` gives, without any extra."""
    return install(wheel, tmp_path_factory.mktemp("bare"))


def install(wheel: Path, folder: Path, *extras: str) -> Installation:
    """Install the wheel, and links to what these extras bring, into an environment."""
    environment, project = folder / "venv", folder / "project"
    venv.create(environment, symlinks=True)
    options = ("--no-deps", "--no-index", "--no-compile")
    python = str(environment / "bin" / "python")
    subprocess.run([*PIP, "--python", python, "install", *options, str(wheel)], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    for name in closure(*extras):
        for link, target in files_of(name):
            if not (packages / link).exists():
                (packages / link).symlink_to(target)
    weed = Path(sys.executable).parent / "weed"
    (environment / "bin" / weed.name).symlink_to(weed)
    write_project(project)
    return Installation(environment, project)


def files_of(name: str) -> Iterator[tuple[str, Path]]:
    """Yield the files and folders that an installed distribution lays beside others."""
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        # For another platform, or another Python.
        return
    for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
        yield top, Path(str(distribution.locate_file(top)))


def write_project(folder: Path) -> None:
    """Write modules and packages of a user's own, none of which facetag may import."""
    folder.mkdir()
    for name in THEIRS:
        text = f"raise RuntimeError('facetag imported {name} of the project')\n"
        if name in ("cli", "trainer"):
            (folder / f"{name}.py").write_text(text)
        else:
            (folder / name).mkdir()
            (folder / name / "__init__.py").write_text(text)
    (folder / "models" / "default").mkdir()
    (folder / "models" / "default" / MANIFEST).write_text("{}")


def test_the_wheel_installs_six_names_and_the_bundle_below_facetag(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(OURS)
    for file in (MANIFEST, WEIGHTS, CARD):
        assert f"facetag/models/default/{file}" in names
    code = {name for name in names if name.endswith(".py")}
    here = {
        f"{path.relative_to(folder.parent)}"
        for top in OURS
        for folder in (*ROOT.glob(top), *ROOT.glob(f"*/{top}"))
        for path in folder.rglob("*.py")
    }
    assert code == here


def test_our_packages_come_from_the_wheel(installation):
    asked = (
        "import importlib, sys; print(*[importlib.import_module(n).__file__ for n in sys.argv[1:]])"
    )
    done = installation.run("python", "-c", asked, *OURS)
    assert done.returncode == 0, done.stderr
    files = [Path(word) for word in done.stdout.split()]
    assert [file.parent.name for file in files] == list(OURS)
    assert all(file.is_relative_to(installation.environment) for file in files)


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("tag", "photos"), "standard"),
        (("evaluate", "shard.tar"), "standard,train"),
        (("api",), "api"),
        (("watch", "photos"), "standard"),
    ],
)
def test_without_extras_a_command_names_the_one_to_install(bare, arguments, extra):
    (bare.project / "photos").mkdir(exist_ok=True)
    (bare.project / "photos" / "a.jpg").write_bytes(b"photo")
    home = {"HOME": str(bare.project), "FACETAG_DATA_DIR": str(bare.project / "data")}
    done = bare.run("facetag", *arguments, **home)
    assert done.returncode == 1, done.stderr
    assert f"pip install 'facetag[{extra}]'" in done.stderr
    assert done.stderr.count("Error") == 1
    assert "Traceback" not in done.stderr


def test_without_extras_the_library_names_the_one_to_install(bare):
    done = bare.run("python", "-c", "import facetag; facetag.Client; facetag.label")
    assert "pip install 'facetag[cpu,tables]'" in done.stderr.splitlines()[-1]


def test_a_photo_is_tagged_in_a_project_with_modules_of_the_same_names(
    installation, samples, tmp_path
):
    photos = installation.project / "photos"
    photos.mkdir()
    shutil.copy(samples / "astronaut.jpg", photos)
    done = installation.run(
        "facetag",
        *("tag", "photos", "--format", "jsonl"),
        HOME=str(tmp_path),
        FACETAG_DATA_DIR=str(tmp_path / "data"),
    )
    assert done.returncode == 0, done.stderr
    (line,) = map(json.loads, done.stdout.splitlines())
    assert (line["image"], line["state"], len(line["faces"])) == ("astronaut.jpg", "tagged", 1)
    assert line["model"] == json.loads((DEFAULT_FOLDER / MANIFEST).read_text())["version"]
