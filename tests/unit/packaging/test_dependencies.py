"""What each extra brings is what its rooms import, and the API's brings no TensorFlow."""

import ast
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# The folder of every room, and the extras that an installation of it has beyond the base.
ROOMS = {
    "facetag": ("local",),
    "facetag/labelling": ("cpu",),
    "facetag/library": ("cpu",),
    "facetag/quantification": ("cpu",),
    "facetag/results": ("tables",),
    "facetag/vision": ("cpu",),
    "api/facetag_api": ("api",),
    "cli/facetag_cli": ("api", "cpu", "train", "local", "watch"),
    "migrations/facetag_migrations": (),
    "trainer/facetag_trainer": ("cpu", "train", "jax", "teachers"),
    "worker/facetag_worker": ("cpu",),
}
OURS = {Path(room).name for room in ROOMS}
# Parts of a distribution that we require, under another distribution's name.
COMES_WITH = {
    "billiard": "celery",
    "botocore": "boto3",
    "kombu": "celery",
    "markupsafe": "jinja2",
    "starlette": "fastapi",
    "dlib": "dlib-bin",
    "joblib": "mtcnn",
    "tensorflow": "tensorflow-cpu",
}


def requirements(*extras: str) -> list[Requirement]:
    found = [Requirement(line) for line in PROJECT["dependencies"]]
    waiting = list(extras)
    while waiting:
        for line in PROJECT["optional-dependencies"][waiting.pop()]:
            requirement = Requirement(line)
            if requirement.name == PROJECT["name"]:
                waiting += requirement.extras
            else:
                found.append(requirement)
    return found


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    named = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in named}


def imported_packages(room: str) -> set[str]:
    """Return the packages of others that a room imports; a room within it is measured by itself."""
    inner = [ROOT / other for other in ROOMS if other.startswith(f"{room}/")]
    paths = [
        path
        for path in (ROOT / room).rglob("*.py")
        if not any(path.is_relative_to(folder) for folder in inner)
    ]
    assert paths, f"{room} holds no code"
    found = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - OURS


def closure(*extras: str) -> set[str]:
    """Return every distribution that installing the extras brings, as installed here."""
    waiting = requirements(*extras)
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for wanted in {"", *requirement.extras}:
            if (name, wanted) in seen:
                continue
            seen.add((name, wanted))
            environment = dict(default_environment()) | {"extra": wanted}
            try:
                needed = metadata.requires(name) or []
            except metadata.PackageNotFoundError:
                continue
            waiting += [
                inner
                for inner in map(Requirement, needed)
                if inner.marker is None or inner.marker.evaluate(environment)
            ]
    return {name for name, _ in seen}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_its_extras_declare(room: str) -> None:
    declared = {canonicalize_name(line.name) for line in requirements(*ROOMS[room])}
    distributions = metadata.packages_distributions()
    undeclared = []
    for package in sorted(imported_packages(room)):
        names = {canonicalize_name(name) for name in distributions.get(package, [package])}
        names |= {COMES_WITH[package]} if package in COMES_WITH else set()
        if not names & declared:
            undeclared.append(package)
    assert undeclared == []


def test_the_api_extra_brings_no_tensorflow() -> None:
    brought = closure("api")
    assert "fastapi" in brought
    assert brought.isdisjoint({"tensorflow", "tensorflow-cpu", "keras", "mtcnn", "numpy"})


def test_the_train_extra_brings_keras_without_tensorflow() -> None:
    brought = closure("train")
    assert "keras" in brought
    assert brought.isdisjoint({"tensorflow", "tensorflow-cpu"})


def test_every_declared_dependency_is_pinned_within_its_range() -> None:
    pinned = pins()
    outside = [
        str(requirement)
        for requirement in requirements(*PROJECT["optional-dependencies"])
        if pinned.get(canonicalize_name(requirement.name)) is None
        or not requirement.specifier.contains(pinned[canonicalize_name(requirement.name)])
    ]
    assert outside == []


def test_everything_that_an_extra_brings_is_pinned() -> None:
    pinned = pins()
    brought = set().union(*(closure(extra) for extra in PROJECT["optional-dependencies"]))
    installed = {canonicalize_name(dist.name) for dist in metadata.distributions()}
    assert sorted((brought & installed) - set(pinned)) == []


def test_constraints_hold_names_and_versions_alone() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    assert [
        line for line in pinned if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+]+", line)
    ] == []
    assert len(pinned) == len(pins())
